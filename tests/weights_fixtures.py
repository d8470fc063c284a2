"""A hub on localhost that speaks what huggingface_hub asks of a pinned revision, and a manifest of small files on it.

Large files answer as the real hub does: a redirect that carries size and sha256, to a second host that takes ranges.
"""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from models.weights import Manifest, hub

REVISIONS = {"makers/voice": "a" * 40, "makers/codec": "b" * 40}
LICENCES = {"makers/voice": "Apache-2.0", "makers/codec": "MIT"}
SHARD = "model.safetensors"
LARGE = (".safetensors", ".bin", ".th")  # files that the hub keeps apart, with their sha256


def _noise(size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


FILES = {
    ("makers/voice", "config.json"): b'{"model_type": "dia"}',
    ("makers/voice", SHARD): _noise(300_000, 1),
    ("makers/codec", "config.json"): b'{"model_type": "dac"}',
    ("makers/codec", SHARD): _noise(80_000, 2),
}
PATHS = {"model": "makers/voice", "codec": "makers/codec"}  # folder of the checkpoint → repository
TOTAL = sum(map(len, FILES.values()))


def manifest_entries() -> dict[str, Any]:
    """The JSON of a manifest whose only checkpoint, dia, is FILES."""
    repositories = [
        {
            "target": target,
            "repo": repo,
            "revision": REVISIONS[repo],
            "licence": LICENCES[repo],
            "files": {
                file: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for (owner, file), data in FILES.items()
                if owner == repo
            },
        }
        for target, repo in PATHS.items()
    ]
    refused = [{"repo": "nari-labs/Dia-1.6B", "reason": "it is another model"}]
    checkpoint = {"name": "dia", "title": "Small voice", "repositories": repositories}
    return {"version": 1, "checkpoints": [checkpoint], "refused": refused}


def open_entries() -> dict[str, Any]:
    """The JSON of a manifest that leaves the voice to its first download, and the codec's revision as well."""
    entries = manifest_entries()
    voice, codec = entries["checkpoints"][0]["repositories"]
    for repository, wanted in ((voice, ["config.json", "model*.safetensors | old*.bin"]), (codec, ["config.json"])):
        del repository["files"]
        repository |= {"take": wanted, "unpinned": "nobody published them"}
    codec["take"].append(SHARD)
    codec["revision"] = None
    return entries


def git_sha1(data: bytes) -> str:
    """What git names these bytes by."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def small_manifest() -> Manifest:
    return Manifest.model_validate_json(json.dumps(manifest_entries()))


def copy_files(folder: Path) -> None:
    """Lay FILES out as a person would who carried them here."""
    for target, repo in PATHS.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for (owner, file), data in FILES.items():
            if owner == repo:
                (folder / target / file).write_bytes(data)


def is_whole(root: Path) -> bool:
    """Whether FILES lie in their places below a root of weights."""
    return all(
        (root / "dia" / target / file).read_bytes() == data
        for target, repo in PATHS.items()
        for (owner, file), data in FILES.items()
        if owner == repo
    )


def parts(root: Path) -> list[Path]:
    """Downloads under way."""
    return sorted(root.glob(".incoming/dia/**/*.part"))


@dataclass
class StandInHub:
    """What the hub holds and does wrong; keys of the faults are (repository, file)."""

    port: int = 0
    bodies: dict[tuple[str, str], bytes] = field(default_factory=lambda: dict(FILES))
    offered: dict[tuple[str, str], bytes] = field(default_factory=dict)  # what it claims to hold, if not the body
    cuts: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # bytes sent before each cut, used up
    status: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)  # code and X-Error-Code
    takes_ranges: bool = True
    listed: list[str] | None = None  # names that it lists, if not those it has
    commit: str | None = None  # the commit that it shows, if not the revision asked for
    list_body: bytes | None = None  # what it answers instead of a list
    hold: dict[tuple[str, str], tuple[int, threading.Event]] = field(default_factory=dict)  # waits after some bytes
    requests: list[tuple[str, tuple[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def downloads(self, file: str | None = None) -> list[dict[str, str]]:
        """Headers of the requests that brought bytes."""
        return [
            headers for kind, (_, name), headers in self.requests if kind == "bytes" and (file is None or name == file)
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandInHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        if listing := re.fullmatch(r"/api/models/(\w+/\w+)(?:/revision/(\w+))?\?blobs=.*", self.path):
            return self._list(listing[1], listing[2])
        match = re.fullmatch(r"/(store/)?(\w+/\w+)/resolve/(\w+)/([\w.-]+)", self.path)
        assert match is not None, self.path
        key = (match[2], match[4])
        headers = {name.lower(): value for name, value in self.headers.items()}
        sends_bytes = with_body and (match[1] is not None or not key[1].endswith(LARGE))
        self.hub.requests.append(("bytes" if sends_bytes else self.command, key, headers))
        if match[3] != REVISIONS.get(key[0]):
            return self._fail(404, "RevisionNotFound")
        if key in self.hub.status:
            return self._fail(*self.hub.status[key])
        if sends_bytes:
            return self._send(key)
        return self._offer(key, redirect=key[1].endswith(LARGE))

    def _list(self, repo: str, revision: str | None) -> None:
        """The hub's word on the files of a repository: the newest revision if none is named."""
        self.hub.requests.append(("list", (repo, ""), {}))
        if (repo, "") in self.hub.status:
            self._fail(*self.hub.status[repo, ""])
            return
        if revision not in (None, REVISIONS.get(repo)):
            self._fail(404, "RevisionNotFound")
            return
        names = self.hub.listed or [file for owner, file in self.hub.bodies if owner == repo]
        siblings = [self._sibling(repo, name) for name in names]
        body = json.dumps({"id": repo, "sha": self.hub.commit or REVISIONS[repo], "siblings": siblings}).encode()
        body = self.hub.list_body or body
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _sibling(self, repo: str, name: str) -> dict[str, Any]:
        key = (repo, name)
        data = self.hub.offered.get(key, self.hub.bodies.get(key, b""))
        blob = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
        if not name.endswith(LARGE):
            return blob
        return blob | {"lfs": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}}

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _offer(self, key: tuple[str, str], redirect: bool) -> None:
        data = self.hub.offered.get(key, self.hub.bodies[key])
        self.send_response(302 if redirect else 200)
        self.send_header("X-Repo-Commit", REVISIONS[key[0]])
        if redirect:
            self.send_header("Location", f"http://localhost:{self.hub.port}/store{self.path}")
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", "0")
        else:
            self.send_header("ETag", f'"{git_sha1(data)}"')
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()

    def _send(self, key: tuple[str, str]) -> None:
        data, start = self.hub.bodies[key], 0
        if self.hub.takes_ranges and (wanted := self.headers["Range"]):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if key in self.hub.hold:
            count, event = self.hub.hold[key]
            self.wfile.write(data[start : start + count])
            event.wait(20)
            start += count
        cuts = self.hub.cuts.get(key)
        end = start + cuts.pop(0) if cuts else len(data)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data[start:end])
        self.close_connection = end < len(data)


@contextlib.contextmanager
def serve_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """The stand-in, in the place of the hub for this process; retries come without a wait."""
    state = StandInHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": state}))
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    point_to(state.endpoint, monkeypatch)
    try:
        yield state
    finally:
        close_session()
        server.shutdown()
        thread.join()
        server.server_close()


NOBODY = "http://127.0.0.1:9"  # no service listens on the discard port


def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process look for the hub there."""
    close_session()
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "RETRY_WAITS_SECONDS", (0.0, 0.0))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
