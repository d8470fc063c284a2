"""What a deployment decides, read once from the environment and the command line. Knows defaults and limits."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from models.errors import InvalidRequest
from serving.catalog import DIA, MODELS, Served
from serving.fetch import FetchLimits
from serving.storage.database import is_sqlite, sqlite_url
from serving.storage.limits import Limits
from serving.urls import parse_url
from serving.work.runner import MOST_ATTEMPTS

_ABOVE_ZERO = (
    "keep_hours", "forget_days", "at_once", "grace_seconds", "requests_per_minute", "creations_per_minute",
    "most_waiting", "most_listeners", "most_attempts", "upload_bytes", "chat_seconds",
)  # fmt: skip
LAST_PORT = 65_535
_NAMES = tuple(model.name for model in MODELS.values())
_DATABASES = ("", "sqlite", "postgres", "postgresql", "postgresql+psycopg")  # schemes; "": none is given
_NAMED_URL = re.compile(r"([\w-]+)=(.*)")  # an address alone has a colon before any =
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Settings:
    """Every field is an environment variable too: PARLEY_ and its name in capitals, or the one in its metadata."""

    data: Path = field(default=Path("parley-data"), metadata={"help": "folder of the database and the files"})
    database_url: str = field(
        default="",
        repr=False,
        metadata={
            "env": "DATABASE_URL",
            "help": "postgresql://… for several processes, each with at most 31 connections to it; SQLite without",
        },
    )
    bucket: str = field(default="", metadata={"help": "s3://… or gs://…: files lie there instead of in the folder"})
    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on"})
    port: int = field(default=8000, metadata={"help": "port to listen on; 0: any that is free"})
    public_url: str = field(default="", metadata={"help": "where callers reach it, for the links in its answers"})
    certfile: str = field(default="", metadata={"help": "certificate, PEM: https and wss are spoken, nothing else"})
    keyfile: str = field(default="", metadata={"help": "key of the certificate, where that file does not hold it"})
    self_signed: bool = field(
        default=False, metadata={"help": "https with a certificate made at the start, for clients of this machine"}
    )
    no_auth: bool = field(default=False, metadata={"help": "no tokens; listens on loopback only"})
    tokens: str = field(default="", repr=False, metadata={"help": "name:token,name:token: who may come in"})
    tokens_file: str = field(default="", metadata={"help": "file of hashed tokens; python -m serving token adds one"})
    allow_private: bool = field(
        default=False, metadata={"help": "URLs given as inputs or webhooks may be of this network"}
    )
    keep_hours: float = field(default=24.0, metadata={"help": "inputs and outputs are deleted this long after the end"})
    forget_days: float = field(
        default=30.0, metadata={"help": "after that a prediction's status and times are kept this long"}
    )
    http_only: bool = field(
        default=False, metadata={"help": "only serve HTTP; predictions are made by `serving worker`"}
    )
    health_port: int = field(
        default=0, metadata={"help": "of `serving worker`: port of its /health, /ready and /metrics; 0: none"}
    )
    models: str = field(default=DIA.name, metadata={"help": f"what is served, comma-separated, of {', '.join(_NAMES)}"})
    at_once: int = field(
        default=4,
        metadata={
            "help": "predictions that each worker makes at once; that of the last to start holds for all workers"
        },
    )
    cog_urls: str = field(
        default="",
        metadata={
            "help": "Cog containers, comma-separated, that make the audio in our place: http://… for dia, "
            "musicgen=http://… and audiogen=http://… for those; at_once: as many"
        },
    )
    grace_seconds: float = field(default=30.0, metadata={"help": "what is running at SIGTERM may take this long"})
    requests_per_minute: int = field(default=3000, metadata={"help": "of one token; the next is answered 429"})
    creations_per_minute: int = field(default=600, metadata={"help": "of one token; the next is answered 429"})
    most_attempts: int = field(
        default=MOST_ATTEMPTS, metadata={"help": "begun this often by processes that then died, a prediction fails"}
    )
    most_waiting: int = field(default=100, metadata={"help": "predictions of one token that are not over"})
    most_listeners: int = field(
        default=50, metadata={"help": "streams of audio or events of one token, open at once in one process"}
    )
    upload_bytes: int = field(default=100 << 20, metadata={"help": "largest file taken"})
    cors_origins: str = field(
        default="", metadata={"help": "origins, comma-separated, whose pages may call; none without"}
    )
    chat_base_url: str = field(
        default="",
        metadata={
            "env": "CHAT_BASE_URL",
            "help": "OpenAI-compatible chat server, up to /v1, that says what responses of the realtime socket say",
        },
    )
    chat_model: str = field(default="", metadata={"env": "CHAT_MODEL", "help": "its model; needed with chat_base_url"})
    chat_api_key: str = field(
        default="", repr=False, metadata={"env": "CHAT_API_KEY", "help": "its key, if it asks for one"}
    )
    chat_seconds: float = field(
        default=30.0, metadata={"env": "CHAT_SECONDS", "help": "the chat server may say nothing for so long"}
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Self:
        """given: what the command line says, which goes before. Raises InvalidRequest."""
        values = dict(given)
        for f in fields(cls):
            name = f.metadata.get("env", f"PARLEY_{f.name.upper()}")
            if f.name not in values and environ.get(name):
                values[f.name] = _read(name, environ[name], type(f.default))
        return cls(**values)

    def __post_init__(self) -> None:
        if self.no_auth and self.host not in LOOPBACK:
            raise InvalidRequest(
                "no_auth", f"is given with host {self.host}; without tokens only loopback (127.0.0.1) is served."
            )
        scheme = self.database_url.partition(":")[0]
        if scheme not in _DATABASES:
            raise InvalidRequest(
                "database_url", f"has the scheme {scheme!r}; write postgresql://user@host/name, or sqlite:////path."
            )
        self._check_tls()
        for name, url in self._named_urls():
            if name not in _NAMES:
                raise InvalidRequest("cog_urls", f"names {name!r}; the models are {', '.join(_NAMES)}.")
            parse_url(url, "cog_urls")
        self._check_models()
        self._check_chat()
        if self.public_url:
            parse_url(self.public_url, "public_url")
        self._check_numbers()

    def _check_models(self) -> None:
        names = self._model_names()
        if not names or not set(names) <= set(_NAMES):
            raise InvalidRequest("models", f"is {self.models!r}; name one or more of {', '.join(_NAMES)}.")
        if unserved := sorted({name for name, _ in self._named_urls()} - set(names)):
            raise InvalidRequest(
                "models",
                f"is {self.models!r}, and cog_urls has containers for {', '.join(unserved)}. Name them here, or leave "
                "them out there.",
            )

    def _check_chat(self) -> None:
        for name, other in (("chat_model", "chat_base_url"), ("chat_base_url", "chat_model")):
            if getattr(self, other) and not getattr(self, name):
                raise InvalidRequest(name, f"is not given, and {other} is. Give both, or neither.")
        if self.chat_base_url:
            parse_url(self.chat_base_url, "chat_base_url")
        if not (self.chat_api_key.isascii() and self.chat_api_key.isprintable()):
            raise InvalidRequest("chat_api_key", "holds what no header can. Copy it again.")

    def _model_names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.models.split(",") if name.strip())

    def _check_tls(self) -> None:
        if self.self_signed and self.certfile:
            raise InvalidRequest("self_signed", "is given beside certfile. Leave one of them out.")
        if self.keyfile and not self.certfile:
            raise InvalidRequest("keyfile", "is given without certfile. Name the certificate too.")
        for name in ("certfile", "keyfile"):
            if (path := getattr(self, name)) and not Path(path).is_file():
                raise InvalidRequest(name, f"is {path!r}; there is no such file.")

    def _check_numbers(self) -> None:
        for name in _ABOVE_ZERO:
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidRequest(name, f"is {getattr(self, name)}; it must be above 0, and finite.")
        for name in ("port", "health_port"):
            if not 0 <= getattr(self, name) <= LAST_PORT:
                raise InvalidRequest(name, f"is {getattr(self, name)}; ports are 0 to {LAST_PORT}.")

    def base_url(self, port: int) -> str:
        """Where callers reach the service that listens on this port. Raises InvalidRequest where nobody could tell."""
        if self.public_url:
            return self.public_url.rstrip("/")
        if self.host not in LOOPBACK:
            raise _no_public_url(f"the service listens on {self.host!r}")
        scheme = "https" if self.certfile or self.self_signed else "http"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

    @property
    def worker_base_url(self) -> str:
        """The same for a process that does not listen, whose webhooks have links too. Raises InvalidRequest."""
        if not self.public_url and not is_sqlite(self.database):
            raise _no_public_url("this worker may run on another machine than what callers reach")
        return self.base_url(self.port)

    @property
    def database(self) -> str:
        return self.database_url or sqlite_url(self.data / "parley.db")

    @property
    def containers(self) -> Mapping[str, tuple[str, ...]]:
        """Addresses of Cog servers, by the full names of the models that they make in place of this machine."""
        named = self._named_urls()
        urls = {full_name: tuple(url for name, url in named if name == m.name) for full_name, m in MODELS.items()}
        return {full_name: found for full_name, found in urls.items() if found}

    def _named_urls(self) -> list[tuple[str, str]]:
        """(model, address); an address alone is one that speaks."""
        entries = [entry.strip() for entry in self.cog_urls.split(",") if entry.strip()]
        return [(m[1], m[2]) if (m := _NAMED_URL.fullmatch(entry)) else (DIA.name, entry) for entry in entries]

    @property
    def served(self) -> Served:
        """The models, in the catalogue's order."""
        names = self._model_names()
        return {full_name: model for full_name, model in MODELS.items() if model.name in names}

    @property
    def keep_seconds(self) -> float:
        return 3600.0 * self.keep_hours

    @property
    def forget_seconds(self) -> float:
        return 86_400.0 * self.forget_days

    @property
    def limits(self) -> Limits:
        return Limits(predictions=self.most_waiting, upload_bytes=self.upload_bytes)

    @property
    def fetching(self) -> FetchLimits:
        return FetchLimits(max_bytes=self.upload_bytes, allow_private=self.allow_private)


def _no_public_url(because: str) -> InvalidRequest:
    return InvalidRequest(
        "public_url",
        f"is not given, and {because}: links in answers and webhooks would lead nowhere. Set PARLEY_PUBLIC_URL, or "
        "--public-url, to the address by which callers reach the service, such as https://speech.example.org.",
    )


def _read(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("0", "1", "false", "true", "no", "yes"):
            raise InvalidRequest(name, f"is {text!r}; write 1 or 0.")
        return text.lower() in ("1", "true", "yes")
    try:
        return kind(text)
    except ValueError:
        raise InvalidRequest(name, f"is {text!r}; it must be a number.") from None
