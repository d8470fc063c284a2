"""The hub: is it there, and one pinned file of it, in pieces that survive a cut. Knows no checkpoint and no marker.

huggingface_hub finds the address, the token, the proxy and the offline switch (HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE).
The bytes are streamed here, because hf_hub_download (2.4) throws away what it has when it is interrupted, and one
shard of Dia has 5 GB.
"""

import os
import re
import time
from pathlib import Path
from typing import TypeGuard

from huggingface_hub import HfApi, constants, get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from models.errors import WeightsError
from models.threads import start_thread
from models.weights.manifest import Pin, Repository
from models.weights.progress import Meter, Progress, readable

RETRY_WAITS_SECONDS = (1.0, 2.0, 4.0)  # between tries that bring no new byte; a byte starts the row again
_COMMIT, _HASH = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class _EndedEarly(HTTPError):
    """The answer ended as if it were whole, with fewer bytes than the file has."""


def download(pin: Pin, part: Path, progress: Progress) -> None:
    """Complete `part`, which may hold the beginning of the file already. Its size is right afterwards; hash it.

    Raises WeightsError with the cause; what has arrived stays in `part` for the next call.
    """
    if _size(part) > pin.size:
        part.unlink()
    waits = iter(RETRY_WAITS_SECONDS)
    while (before := _size(part)) < pin.size:
        trouble = _try(pin, part, progress)
        if trouble is None:
            return
        if _size(part) > before:
            waits = iter(RETRY_WAITS_SECONDS)
        wait = next(waits, None)
        if wait is None:
            raise WeightsError(f"{pin.path}: {explain(trouble)}") from trouble
        progress(f"{pin.path}: {explain(trouble)}; going on in {wait:.0f} s from {readable(_size(part))}")
        time.sleep(wait)


def offers(repository: Repository) -> tuple[Pin, ...]:
    """The files that are taken of a repository which is not pinned whole, as the hub says they are at its revision.

    Of large files it says the sha256, of small ones git's hash; those that the manifest pins keep its word. Without a
    pinned revision it is the newest commit. Raises WeightsError.
    """
    api = HfApi(endpoint=constants.ENDPOINT)
    try:
        info = api.model_info(
            repository.repo,
            revision=repository.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise WeightsError(f"{repository.repo}: {explain(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{repository.repo}: the hub's list of its files cannot be read ({error!r})") from error
    if info.sha is None or repository.revision not in (None, info.sha):
        raise WeightsError(f"{repository.repo}: the hub shows commit {info.sha} for revision {repository.revision}")
    files = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    pins = {pin.file: pin for pin in repository.pins}
    return tuple(
        pins.get(name) or _offered(repository, info.sha, files[name]) for name in repository.choose(list(files))
    )


def _offered(repository: Repository, commit: str, file: RepoSibling) -> Pin:
    path, sha256 = f"{repository.target}/{file.rfilename}", file.lfs.sha256 if file.lfs else None
    size = file.lfs.size if file.lfs else file.size
    git_sha1 = None if sha256 else file.blob_id
    if not size or not _HASH.fullmatch(sha256 or git_sha1 or "") or not _COMMIT.fullmatch(commit):
        raise WeightsError(f"{path}: the hub does not say what it is (size {size}, hash {sha256 or git_sha1})")
    return Pin(path, repository.repo, commit, file.rfilename, size, sha256, git_sha1)


def why_unreachable(repository: Repository, timeout_seconds: float) -> str | None:
    """None if the hub offers this repository's first file, else why not; answers in time whatever the network does."""
    answer: list[str | None] = []
    url = hf_hub_url(repository.repo, repository.first, revision=repository.revision)

    def ask() -> None:
        try:
            get_hf_file_metadata(url, timeout=timeout_seconds)
            answer.append(None)
        except (HTTPError, OSError) as error:
            answer.append(explain(error))

    # A thread, because the timeout of a request does not hold for the look-up of the host's name.
    start_thread(ask, "ask-hub").join(timeout_seconds)
    return answer[0] if answer else f"the hub gives no answer within {timeout_seconds:g} s"


def explain(error: Exception) -> str:
    """What went wrong between us and the hub, in words that follow a colon."""
    match error:
        case OfflineModeIsEnabled():
            return "downloads are switched off by HF_HUB_OFFLINE"
        case GatedRepoError():
            return "the hub wants you to accept the terms of this repository; do so there, then set HF_TOKEN"
        case RemoteEntryNotFoundError() | RevisionNotFoundError():
            return "the hub no longer has this file at the pinned revision"
        case RepositoryNotFoundError():
            return "the hub shows no such repository; it is gone or private (then set HF_TOKEN)"
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            return f"the hub refuses access (status {error.response.status_code}); check HF_TOKEN"
        case HfHubHTTPError():
            return f"the hub answers with status {error.response.status_code}"
        case _EndedEarly():
            return f"the hub ends the file early, after {error}"
        case _:
            return f"no connection to the hub at {constants.ENDPOINT} ({type(error).__name__}: {error})"


def _try(pin: Pin, part: Path, progress: Progress) -> HTTPError | None:
    """One attempt: None if `part` is complete, the trouble if it may pass; raises WeightsError if it will not."""
    try:
        _check_offer(pin)
        _append(pin, part, progress)
    except (HTTPError, OfflineModeIsEnabled) as error:
        if _is_passing(error):
            return error
        raise WeightsError(f"{pin.path}: {explain(error)}") from error
    except OSError as error:
        raise WeightsError(f"{pin.path} cannot be written to {part.parent} ({error.strerror or error})") from error
    return None if _size(part) == pin.size else _EndedEarly(f"{_size(part)} of {pin.size} bytes")


def _check_offer(pin: Pin) -> None:
    """Refuse before gigabytes are moved if the hub itself says that the file is another one."""
    offer = get_hf_file_metadata(_url(pin), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    if offer.size is not None and offer.size != pin.size:
        raise WeightsError(f"{pin.path}: the hub offers {offer.size} bytes, the manifest says {pin.size}")
    # The tag of a large file is its sha256; that of a small one is a git hash of 40 digits.
    if offer.etag is not None and len(offer.etag) == 64 and pin.sha256 not in (None, offer.etag):
        raise WeightsError(f"{pin.path}: the hub offers sha256 {offer.etag}, the manifest says {pin.sha256}")


def _append(pin: Pin, part: Path, progress: Progress) -> None:
    """One request for what `part` lacks; ends early and without an error where the connection does."""
    have = _size(part)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    # Asked at the address that redirects, not at the one redirected to: that one expires within the hour.
    with get_session().stream("GET", _url(pin), headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as answer:
        hf_raise_for_status(answer)
        if answer.status_code != 206:  # the whole file, whatever was asked for
            have = 0
        meter = Meter(pin.path, pin.size, progress, done=have)
        with part.open("ab" if have else "wb") as file:
            for block in answer.iter_bytes():
                have += len(block)
                if have > pin.size:
                    raise WeightsError(f"{pin.path}: the hub sends more than the {pin.size} bytes of the manifest")
                file.write(block)
                meter.advance(len(block))
            file.flush()
            os.fsync(file.fileno())


def _is_passing(error: Exception) -> TypeGuard[HTTPError]:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in PASSING_STATUS
    return isinstance(error, HTTPError)


def _url(pin: Pin) -> str:
    return hf_hub_url(pin.repo, pin.file, revision=pin.revision)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
