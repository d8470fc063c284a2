"""OpenAI's own clients, unchanged, before the speech door: `openai` from PyPI, and `openai` from npm under node."""

import asyncio
import base64
import json
import subprocess

import pytest
from audio_fixtures import decode, pitch
from npm_fixtures import npm_package
from serving_fixtures import ALICE, PIECE, RATE, running, wait_for
from speech_fixtures import TAG, recording, speaker

from serving.doors.speech.request import OPENAI_MODELS
from serving.storage.prediction import Status
from serving.storage.voices import OPENAI_VOICES

openai = pytest.importorskip("openai", reason="the client is not installed")

TEXT = "Hello ha."
SECONDS = (TAG + len(TEXT)) * PIECE / RATE
FORMATS = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg; codecs=opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm;rate=24000",
}
RATES = {"opus": 48_000, "pcm": 24_000}  # Hz; the others are heard as they are made


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("clients"), speaker()) as here:
        yield here


@pytest.fixture
def closed(service):
    with service.closed() as gate:
        yield gate


@pytest.fixture
def client(service):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=ALICE, max_retries=0, timeout=30) as client:
        yield client


def check_audio(audio: bytes, output_format: str) -> None:
    if output_format == "pcm":
        assert len(audio) == 2 * 24_000 * SECONDS
        return
    heard = decode(audio, RATE)
    assert heard.shape[1] / RATE == pytest.approx(SECONDS, abs=1e-3 if output_format in ("wav", "flac") else 0.6)
    assert pitch(heard, RATE) == pytest.approx(440, rel=0.002)


def test_python_hears_every_format(client, tmp_path):
    for output_format, content_type in FORMATS.items():
        spoken = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format=output_format)
        check_audio(spoken.content, output_format)
        assert spoken.response.headers["content-type"] == content_type
        assert spoken.response.headers["x-sample-rate"] == str(RATES.get(output_format, RATE))
    assert "x-parley-note" not in spoken.response.headers
    spoken.write_to_file(tmp_path / "speech.pcm")
    assert (tmp_path / "speech.pcm").read_bytes() == spoken.content


def test_python_hears_mp3_where_it_names_no_format_and_is_told_that_nobody_follows_instructions(client):
    spoken = client.audio.speech.create(model="gpt-4o-mini-tts", voice="onyx", input="A", instructions="Be kind.")
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    assert "instructions were not used" in spoken.response.headers["x-parley-note"]
    assert spoken.response.headers["x-request-id"]


def test_python_hears_the_first_bytes_before_the_last_are_made(service, client, closed):
    asked = {"model": "tts-1", "voice": "nova", "input": "A~", "response_format": "wav"}
    with client.audio.speech.with_streaming_response.create(**asked) as answer:
        pieces = answer.iter_bytes()
        first = next(pieces)
        assert first
        assert service.service.records.get(service.backend.made[-1]).status is Status.PROCESSING
        closed.set()
        audio = first + b"".join(pieces)
    made = service.service.records.get(service.backend.made[-1])
    assert made.status is Status.SUCCEEDED
    assert decode(audio, RATE).shape[1] / RATE == pytest.approx(made.metrics["audio_seconds"], abs=1e-3)


def test_python_that_stops_listening_cancels(service, client, closed):
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="nova", input="A~") as answer:
        assert next(answer.iter_bytes())
    wait_for(lambda: service.service.records.get(service.backend.made[-1]).status is Status.CANCELED)


def test_python_reads_events(client):
    asked = {
        "model": "gpt-4o-mini-tts",
        "voice": "ash",
        "input": TEXT,
        "response_format": "pcm",
        "stream_format": "sse",
    }
    text = client.audio.speech.create(**asked).text
    types = [json.loads(line.removeprefix("data: "))["type"] for line in text.split("\n\n") if line]
    assert types[-1] == "speech.audio.done"
    assert set(types[:-1]) == {"speech.audio.delta"}


async def _spoken(url: str) -> list[bytes]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=ALICE, max_retries=0) as client:
        asked = {"model": "tts-1", "voice": "nova", "input": TEXT, "response_format": "flac"}
        answers = await asyncio.gather(*(client.audio.speech.create(**asked) for _ in range(2)))
        return [answer.content for answer in answers]


def test_python_speaks_twice_at_once(service):
    for audio in asyncio.run(_spoken(service.url)):
        check_audio(audio, "flac")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": "gpt-5"}, "model"),
        ({"voice": "unknown"}, "voice"),
        ({"voice": {"id": "voice_1234"}}, "voice"),
        ({"input": "a" * 4097}, "input"),
        ({"input": "Oh!"}, "input"),  # which the model refuses
        ({"response_format": "ogg"}, "response_format"),
        ({"speed": 5}, "speed"),
    ],
)
def test_python_is_told_what_is_wrong(client, changes, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": "Hi.", **changes})
    error = caught.value
    assert (error.param, error.code, error.type) == (param, "invalid_value", "invalid_request_error")
    assert param in error.message


def test_python_meets_the_other_errors(service, client):
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="another-token-of-20-letters").models.list()
    assert refused.value.status_code == 401
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="another").audio.speech.create(model="tts-1", voice="alloy", input="Hi.")
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.InternalServerError, match=r"The model gave noise\."):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Oh ##")
    with pytest.raises(openai.NotFoundError) as missing:
        client.audio.voices.delete("voice_1234")
    assert missing.value.code == "not_found"


def test_python_that_asks_for_what_is_not_served_is_told_so(client):
    """Before, in a form that it does not read: it said "Error code: 404"."""
    for ask in (
        lambda: client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hey."}]),
        lambda: client.responses.create(model="gpt-4o", input="Hey."),
        lambda: client.embeddings.create(model="text-embedding-3-small", input="Hey."),
    ):
        with pytest.raises(openai.NotFoundError, match=r"Nothing is at this address. /openapi.json lists what is."):
            ask()


def test_python_stores_a_voice_speaks_in_it_and_deletes_it(service, client, tmp_path):
    sample = ("ann.wav", recording(tmp_path), "audio/wav")
    transcript = {"transcript": "This is how I speak."}
    voice = client.audio.voices.create(name="Ann", consent="She agreed.", audio_sample=sample, extra_body=transcript)
    assert (voice.name, voice.object, voice.type) == ("Ann", "audio.voice", "audio_sample")
    check_audio(
        client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input=TEXT, response_format="wav").content,
        "wav",
    )
    assert service.backend.asked[-1].audio_prompt_text == transcript["transcript"]
    deleted = client.audio.voices.delete(voice.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (voice.id, True, "audio.voice.deleted")
    with pytest.raises(openai.BadRequestError):
        client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input=TEXT)


def test_python_lists_the_models(client):
    """Before, tts-1 spoke and was not there."""
    listed = [model.id for model in client.models.list()]
    assert listed == ["dia", *OPENAI_MODELS]
    for name in listed:
        found = client.models.retrieve(name)
        assert (found.id, found.object, found.owned_by) == (name, "model", "parley")
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("dall-e-3")
    assert refused.value.code == "not_found"
    assert "There is no model 'dall-e-3'. Served: dia, tts-1, tts-1-hd, gpt-4o-mini-tts" in refused.value.message
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="another-token-of-20-letters").models.retrieve("dia")
    assert refused.value.code == "invalid_api_key"


def test_every_voice_that_the_client_knows_is_served():
    known = next(iter(v for v in openai.types.audio.speech_create_params.Voice.__args__ if hasattr(v, "__args__")))
    assert sorted(OPENAI_VOICES) == sorted(known.__args__)


NODE = """
import OpenAI from "openai";
const [baseURL, apiKey, text] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const say = (value) => console.log(JSON.stringify(value));
const failure = (promise) => promise.then(() => null, ({ constructor, status, code, param, type }) =>
  ({ name: constructor.name, status, code, param, type }));

say((await client.models.list()).data.map(({ id }) => id));
const asked = { model: "tts-1", voice: "coral", input: text };
const formats = {};
for (const response_format of ["mp3", "wav"]) {
  const answer = await client.audio.speech.create({ ...asked, response_format });
  formats[response_format] = Buffer.from(await answer.arrayBuffer()).toString("base64");
}
say(formats);
say(await failure(client.audio.speech.create({ ...asked, voice: { id: "voice_1234" } })));
say(await failure(client.audio.speech.create({ ...asked, speed: 9 })));
const answer = await client.audio.speech.create({ ...asked, input: "A~", response_format: "wav" });
let size = 0;
for await (const piece of answer.body) {
  if (size === 0) say("first bytes");
  size += piece.length;
}
say(size);
"""


def test_node_hears_speech_as_it_is_made_and_is_told_what_is_wrong(request, service, closed):
    folder = npm_package(request.config, "openai")
    (folder / "client.mjs").write_text(NODE)
    command = ["node", "client.mjs", f"{service.url}/v1", ALICE, TEXT]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as node:
        said = map(json.loads, node.stdout)
        assert next(said) == ["dia", *OPENAI_MODELS]
        for output_format, audio in next(said).items():
            check_audio(base64.b64decode(audio), output_format)
        for param in ("voice", "speed"):
            told = {"status": 400, "code": "invalid_value", "param": param, "type": "invalid_request_error"}
            assert next(said) == {"name": "BadRequestError", **told}
        assert next(said) == "first bytes"
        assert service.service.records.get(service.backend.made[-1]).status is Status.PROCESSING
        closed.set()
        size = next(said)
    assert node.returncode == 0
    made = service.service.records.get(service.backend.made[-1])
    assert size == 44 + 2 * RATE * made.metrics["audio_seconds"]
