"""A kept file as an answer, without a service: what its head says, and what is answered where its bytes are gone.

Ranges over HTTP: tests/test_serving_headers.py.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from serving.storage.files import File
from serving.web.file_answer import head_of, send

CONTENT = b"12345"


def file(content_type: str = "audio/wav", name: str = "a.wav") -> File:
    return File("alice", "output", name, content_type, len(CONTENT), "f" * 64)


def service(read: Any) -> Any:
    return SimpleNamespace(files=SimpleNamespace(read=read))


def kept(file: File, start: int, end: int) -> Iterator[bytes]:
    return iter([CONTENT[start:end]])


def test_a_file_whose_bytes_are_gone_is_not_found(caplog: pytest.LogCaptureFixture) -> None:
    """Its row may outlive it."""

    def gone(*_: Any) -> Iterator[bytes]:
        raise FileNotFoundError

    with pytest.raises(HTTPException) as raised:
        send(lost := file(), service(gone), None)
    assert (raised.value.status_code, lost.id in raised.value.detail) == (404, True)
    assert f"the bytes of file {lost.id} are gone" in caplog.text


@pytest.mark.parametrize(
    ("content_type", "how"),
    [("audio/wav", "inline"), ("image/png", "inline"), ("image/svg+xml", "attachment"), ("text/html", "attachment")],
)
def test_a_browser_shows_only_what_can_run_no_script(content_type: str, how: str) -> None:
    for answer in (send(file(content_type), service(kept), None), head_of(file(content_type))):
        assert answer.headers["content-disposition"].startswith(f"{how}; ")
        assert answer.headers["content-type"].startswith(content_type)


def test_a_name_cannot_end_its_header() -> None:
    head = head_of(file(name='é"; x=\r\n.wav')).headers["content-disposition"]
    assert head == "inline; filename*=UTF-8''%C3%A9%22%3B%20x%3D%0D%0A.wav"


def test_the_head_is_that_of_all_of_it() -> None:
    same = file()
    whole, head = send(same, service(kept), None), head_of(same)
    assert (whole.status_code, dict(whole.headers)) == (200, dict(head.headers))
    part = send(same, service(kept), "bytes=1-2", {"Cache-Control": "no-store"})
    assert (part.status_code, part.headers["content-range"], part.headers["content-length"]) == (
        206,
        "bytes 1-2/5",
        "2",
    )
    assert (part.headers["cache-control"], part.headers["etag"]) == ("no-store", head.headers["etag"])
