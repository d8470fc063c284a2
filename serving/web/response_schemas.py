"""The forms of the doors' answers, for the description of this service at /openapi.json and for nothing else.

The doors build what they answer; tests hold it against these forms, door 2's also against Replicate's description.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NotRequired

from fastapi import Response
from pydantic import AwareDatetime, ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic takes the one of typing only from Python 3.12 on

Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
Link = Annotated[Url, Field(description="Signed: it opens without a token, for a while.")]
Page = Annotated[Url | None, Field(description="Another page, if there is one.")]


def gives(form: Any, status: int = 200, *also: int, errors: Iterable[int] = ()) -> dict[str, Any]:
    """How a route is declared that answers in this form: FastAPI describes it, and checks and changes nothing.

    errors: statuses of those that follow from no parameter, body or token of the route; see web.openapi.
    """
    answers = {code: {"model": form} for code in (status, *also)}
    return {"response_model": None, "responses": answers | _errors(errors)}


BYTES = {"type": "string", "format": "binary"}
EVENT = {  # of a stream of server-sent events
    "type": "object",
    "properties": {
        "event": {"enum": ["logs", "output", "error", "done"]},
        "id": {"type": "string"},
        "data": {"type": "string"},
    },
    "required": ["event", "id", "data"],
}


BY_LINK_TOO: dict[str, Any] = {"security": [{}, {"bearer": []}]}  # opens by its link, or to a token


def gives_bytes(
    content_type: str, *statuses: int, schema: dict[str, Any] = BYTES, errors: Iterable[int] = ()
) -> dict[str, Any]:
    """How a route is declared that answers with a file, or with a stream. errors: as of `gives`."""
    answers = {code: {"content": {content_type: {"schema": schema}}} for code in statuses}
    return {"response_class": Response, "responses": answers | _errors(errors)}


def _errors(statuses: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Their words and their form are their door's: web.openapi puts them in."""
    return {status: {} for status in statuses}


@with_config(ConfigDict(extra="forbid"))
class Form(TypedDict):
    """What is not named is a mistake of ours."""


class PredictionUrls(Form):
    get: Url
    cancel: Url
    stream: Link
    web: Url


class Prediction(Form):
    """What has not come yet is null or left out."""

    id: str
    model: Annotated[str, Field(description="owner/name")]
    version: str
    input: Annotated[dict[str, Any], Field(description="As it was given; files as signed links.")]
    output: Annotated[Link | None, Field(description="The audio.")]
    logs: str
    error: str | None
    status: Literal["starting", "processing", "succeeded", "failed", "canceled"]
    source: Literal["api"]
    data_removed: Annotated[bool, Field(description="Input, output and logs are kept for a limited time.")]
    created_at: AwareDatetime
    started_at: NotRequired[AwareDatetime]
    completed_at: NotRequired[AwareDatetime]
    deadline: NotRequired[AwareDatetime]
    metrics: dict[str, Any]
    urls: PredictionUrls


class PredictionPage(Form):
    results: list[Prediction]
    next: Page
    previous: Page


class Checksums(Form):
    sha256: str


class FileUrls(Form):
    get: Link


class StoredFile(Form):
    id: str
    name: str
    content_type: str
    size: Annotated[int, Field(description="Bytes.")]
    etag: str
    checksums: Checksums
    metadata: dict[str, Any]
    created_at: AwareDatetime
    expires_at: NotRequired[AwareDatetime]
    urls: FileUrls


class FilePage(Form):
    results: list[StoredFile]
    next: Page
    previous: None


class Version(Form):
    id: str
    created_at: AwareDatetime
    cog_version: str
    openapi_schema: Annotated[dict[str, Any], Field(description="Of the model's inputs, as Cog writes it.")]


class VersionPage(Form):
    results: list[Version]
    next: None
    previous: None


class Model(Form):
    url: Url
    owner: str
    name: str
    description: str
    visibility: Literal["public"]
    is_official: bool
    github_url: None
    paper_url: None
    license_url: Url
    run_count: int
    cover_image_url: None
    default_example: None
    latest_version: Version


class NamedModel(Form):
    """As OpenAI's clients know models."""

    id: str
    object: Literal["model"]
    created: Annotated[int, Field(description="Seconds since 1970.")]
    owned_by: str


class ModelPage(Form):
    """A page of Replicate's and a list of OpenAI's in one."""

    object: Literal["list"]
    data: list[NamedModel]
    results: list[Model]
    next: None
    previous: None


class WebhookSecret(Form):
    key: Annotated[str, Field(description="What webhooks are signed with: whsec_…")]


class InvalidField(Form):
    type: Literal["invalid"]
    field: str
    description: str


class Problem(Form):
    """RFC 9457, as Replicate has it."""

    title: str
    detail: str
    status: int
    invalid_fields: NotRequired[list[InvalidField]]


class TaskUrls(Form):
    status: Url
    result: Url
    cancel: Url


class Task(Form):
    """What has not come yet is null."""

    task_id: str
    prompt: str | None
    config: Annotated[dict[str, Any], Field(description="The model, the kind of task and the settings given.")]
    status: Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "EXPIRED"]
    progress: Annotated[float, Field(description="0 to 1.")]
    queue_position: Annotated[int | None, Field(description="1: the next to be begun.")]
    audio_seconds: float
    result_url: Link | None
    result_url_expires_at: AwareDatetime | None
    expires_at: AwareDatetime | None
    data_removed: bool
    error: str | None
    logs: str
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    urls: TaskUrls


class TaskPage(Form):
    tasks: list[Task]
    next_cursor: str | None


class TaskMistake(Form):
    code: str
    field: str | None
    message: str


class Envelope(Form):
    errors: list[TaskMistake]
    error_description: str
    start_time: Annotated[str, Field(description="When the request came in: 2024-03-15 01:34:49.257219, UTC.")]
    end_time: Annotated[str, Field(description="When it was answered.")]


class TaskAnswer(Envelope):
    data: Task


class TaskPageAnswer(Envelope):
    data: TaskPage


class TaskFailure(Envelope):
    data: None


class Voice(Form):
    id: str
    object: Literal["audio.voice"]
    type: Literal["audio_sample"]
    name: str
    created_at: Annotated[int, Field(description="Seconds since 1970.")]
    consent: str
    transcript: str | None
    seconds: NotRequired[Annotated[float, Field(description="From its first sound to its last; not in lists.")]]
    used_seconds: NotRequired[Annotated[float, Field(description="Of those, what is used.")]]
    note: NotRequired[Annotated[str | None, Field(description="What is not used of it, and of its words.")]]


class VoiceList(Form):
    object: Literal["list"]
    data: list[Voice]
    first_id: str | None
    last_id: str | None
    has_more: bool
    built_in: list[str]


class VoiceDeleted(Form):
    id: str
    deleted: bool
    object: Literal["audio.voice.deleted"]


class SpeechMistake(Form):
    message: str
    type: str
    param: str | None
    code: str | None


class SpeechFailure(Form):
    """As OpenAI answers."""

    error: SpeechMistake
