"""fetch against a hub on localhost: whole, broken off, damaged, refused, without room."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from weights_fixtures import (
    FILES,
    NOBODY,
    SHARD,
    TOTAL,
    copy_files,
    is_whole,
    manifest_entries,
    parts,
    point_to,
    serve_hub,
    small_manifest,
)

from models.errors import WeightsError
from models.weights import fetch, hub, locate, progress

MANIFEST = small_manifest()
VOICE = ("makers/voice", SHARD)
HALF = 150_000  # bytes of the voice's file


@pytest.fixture
def stand_in(monkeypatch):
    with serve_hub(monkeypatch) as state:
        yield state


def _fetch(root: Path, say: Callable[[str], None] = progress.silent):
    return fetch("dia", root, say, manifest=MANIFEST)


def _locate(root: Path):
    return locate("dia", root, manifest=MANIFEST)


def test_fetch_brings_every_file_and_says_so(stand_in, tmp_path):
    lines: list[str] = []
    paths = _fetch(tmp_path, lines.append)
    assert is_whole(tmp_path)
    assert paths == _locate(tmp_path)
    assert (paths.name, paths.model, paths.codec) == ("dia", tmp_path / "dia" / "model", tmp_path / "dia" / "codec")
    assert "fetching model/model.safetensors, 300 kB, from makers/voice at aaaaaaaaaaaa" in lines
    assert "complete" in lines[-1]
    assert not (tmp_path / ".incoming" / "dia").exists()


def test_a_second_fetch_asks_nobody(stand_in, tmp_path):
    _fetch(tmp_path)
    before = len(stand_in.requests)
    assert _fetch(tmp_path) == _locate(tmp_path)
    assert len(stand_in.requests) == before


def test_only_pinned_revisions_are_asked_for(stand_in, tmp_path, monkeypatch):
    """The stand-in answers 404 to any other revision."""
    entries = manifest_entries()
    entries["checkpoints"][0]["repositories"][0]["revision"] = "c" * 40
    other = type(MANIFEST).model_validate_json(json.dumps(entries))
    with pytest.raises(WeightsError, match=r"model/config\.json: the hub no longer has this file at the pinned"):
        fetch("dia", tmp_path, manifest=other)


def test_the_token_goes_to_the_hub_and_not_to_the_store_behind_it(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    _fetch(tmp_path)
    by_kind = {kind: headers for kind, key, headers in stand_in.requests if key == VOICE}
    assert by_kind["HEAD"]["authorization"] == by_kind["GET"]["authorization"] == "Bearer hf_secret"
    assert "authorization" not in by_kind["bytes"]


def test_a_connection_cut_midway_goes_on_within_the_same_call(stand_in, tmp_path):
    stand_in.cuts[VOICE] = [HALF]
    lines: list[str] = []
    _fetch(tmp_path, lines.append)
    first, second = stand_in.downloads(SHARD)[:2]
    assert "range" not in first
    assert second["range"] == f"bytes={HALF}-"
    assert is_whole(tmp_path)
    assert any("going on" in line and "150 kB" in line for line in lines)


def test_a_fetch_that_gave_up_goes_on_from_the_last_byte(stand_in, tmp_path):
    stand_in.cuts[VOICE] = [HALF, 0, 0]
    with pytest.raises(WeightsError, match=r"no connection.*What has arrived is kept.*fetch dia.*verify dia"):
        _fetch(tmp_path)
    assert [part.stat().st_size for part in parts(tmp_path)] == [HALF]
    assert _locate(tmp_path) is None
    before = len(stand_in.downloads())
    _fetch(tmp_path)
    assert stand_in.downloads()[before]["range"] == f"bytes={HALF}-"
    assert len(stand_in.downloads("config.json")) == 2, "files that were here are not fetched again"
    assert is_whole(tmp_path)


def test_a_download_that_keeps_moving_is_not_given_up(stand_in, tmp_path):
    """More cuts than tries are allowed without a byte."""
    stand_in.cuts[VOICE] = [50_000] * 5
    _fetch(tmp_path)
    assert len(stand_in.downloads(SHARD)) == 6 + 1
    assert is_whole(tmp_path)


def test_a_server_without_ranges_starts_the_file_again(stand_in, tmp_path):
    stand_in.takes_ranges = False
    stand_in.cuts[VOICE] = [HALF]
    _fetch(tmp_path)
    assert is_whole(tmp_path)


def test_a_file_with_another_hash_is_deleted_and_named(stand_in, tmp_path):
    """The hub promises the right file and something on the way changes one byte."""
    stand_in.offered[VOICE] = FILES[VOICE]
    stand_in.bodies[VOICE] = b"\0" + FILES[VOICE][1:]
    with pytest.raises(WeightsError) as caught:
        _fetch(tmp_path)
    pin = next(pin for pin in MANIFEST.checkpoint("dia").pins if pin.path == "model/model.safetensors")
    got = "".join(str(caught.value).split("sha256 ")[1].split(",")[0])
    assert len(got) == 64
    assert got != pin.sha256
    for words in ("model/model.safetensors", pin.sha256, "was deleted", "fetch again"):
        assert words in str(caught.value)
    assert parts(tmp_path) == []
    assert not (tmp_path / "dia" / "model" / SHARD).exists()
    stand_in.bodies[VOICE] = FILES[VOICE]
    _fetch(tmp_path)
    assert is_whole(tmp_path)


def test_a_small_file_with_another_hash_is_found_too(stand_in, tmp_path):
    stand_in.bodies["makers/codec", "config.json"] = b'{"model_type": "DAC"}'
    with pytest.raises(WeightsError, match=r"codec/config\.json: sha256"):
        _fetch(tmp_path)


@pytest.mark.parametrize("body", [FILES[VOICE][:-1], FILES[VOICE] + b"0"])
def test_a_hub_that_offers_another_size_is_refused_before_the_download(body, stand_in, tmp_path):
    stand_in.bodies[VOICE] = body
    with pytest.raises(WeightsError, match=f"the hub offers {len(body)} bytes, the manifest says 300000"):
        _fetch(tmp_path)
    assert stand_in.downloads(SHARD) == []


def test_a_hub_that_offers_another_hash_is_refused_before_the_download(stand_in, tmp_path):
    stand_in.bodies[VOICE] = bytes(300_000)
    with pytest.raises(WeightsError, match="the hub offers sha256"):
        _fetch(tmp_path)
    assert stand_in.downloads(SHARD) == []


def test_more_bytes_than_pinned_are_not_written(stand_in, tmp_path):
    stand_in.offered[VOICE] = FILES[VOICE]
    stand_in.bodies[VOICE] = FILES[VOICE] + bytes(5_000_000)
    with pytest.raises(WeightsError, match="sends more than the 300000 bytes"):
        _fetch(tmp_path)
    assert sum(part.stat().st_size for part in parts(tmp_path)) <= 300_000


def test_fewer_bytes_than_pinned_are_a_cut_and_not_a_file(stand_in, tmp_path):
    stand_in.offered[VOICE] = FILES[VOICE]
    stand_in.bodies[VOICE] = FILES[VOICE][:HALF]
    stand_in.takes_ranges = False
    with pytest.raises(WeightsError, match="ends the file early, after 150000 of 300000 bytes"):
        _fetch(tmp_path)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "EntryNotFound", "no longer has this file"),
        (404, "RepoNotFound", "shows no such repository"),
        (401, "", "refuses access (status 401); check HF_TOKEN"),
        (401, "RepoNotFound", "HF_TOKEN"),
        (403, "GatedRepo", "accept the terms"),
        (403, "", "refuses access (status 403)"),
        (418, "", "status 418"),
        (503, "", "status 503"),
    ],
)
def test_a_refusal_of_the_hub_is_told_with_the_way_out(status, code, words, stand_in, tmp_path):
    stand_in.status[VOICE] = (status, code)
    with pytest.raises(WeightsError) as caught:
        _fetch(tmp_path)
    assert words in str(caught.value)
    assert f"copy the files of dia to {tmp_path / 'dia'} and run: python -m models.weights verify dia" in str(
        caught.value
    )
    tries = [key for kind, key, _ in stand_in.requests if key == VOICE]
    assert len(tries) == (3 if status == 503 else 1), "only what may pass is tried again"


def test_a_hub_that_is_not_there_is_told_with_the_way_out(tmp_path, monkeypatch):
    point_to(NOBODY, monkeypatch)
    with pytest.raises(WeightsError, match=rf"no connection to the hub at {NOBODY} .*refused.*verify dia"):
        _fetch(tmp_path)
    assert _locate(tmp_path) is None


def test_the_offline_switch_of_the_hub_is_honoured(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="switched off by HF_HUB_OFFLINE"):
        _fetch(tmp_path)
    assert stand_in.requests == []


def test_too_little_room_is_told_before_the_download(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=TOTAL - 1))
    with pytest.raises(WeightsError, match=rf"needs {TOTAL} more bytes .*{TOTAL - 1} .*are free.*PARLEY_WEIGHTS_DIR"):
        _fetch(tmp_path)
    assert stand_in.requests == []


def test_room_is_asked_only_for_what_is_missing(stand_in, tmp_path, monkeypatch):
    stand_in.cuts[VOICE] = [HALF, 0, 0]
    with pytest.raises(WeightsError, match="no connection"):
        _fetch(tmp_path)
    left = TOTAL - HALF - len(FILES["makers/voice", "config.json"])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=left))
    _fetch(tmp_path)
    assert is_whole(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(stand_in, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="PARLEY_WEIGHTS_DIR"):
        _fetch(tmp_path / "file" / "weights")


def test_a_disk_that_fails_while_writing_is_told(stand_in, tmp_path, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub.os, "fsync", fail)
    with pytest.raises(WeightsError, match=r"cannot be written to .*No space left"):
        _fetch(tmp_path)


def test_a_newer_pin_never_goes_on_from_an_older_file(stand_in, tmp_path, monkeypatch):
    stand_in.cuts[VOICE] = [HALF, 0, 0]
    with pytest.raises(WeightsError, match="no connection"):
        _fetch(tmp_path)
    newer = bytes(reversed(FILES[VOICE]))
    monkeypatch.setitem(FILES, VOICE, newer)
    stand_in.bodies[VOICE] = newer
    fetch("dia", tmp_path, manifest=small_manifest())
    assert is_whole(tmp_path)


def test_a_part_that_is_too_long_is_fetched_from_its_start(stand_in, tmp_path):
    stand_in.cuts[VOICE] = [HALF, 0, 0]
    with pytest.raises(WeightsError, match="no connection"):
        _fetch(tmp_path)
    (part,) = parts(tmp_path)
    part.write_bytes(bytes(300_001))
    _fetch(tmp_path)
    assert is_whole(tmp_path)


def test_a_newer_pin_replaces_the_older_file_and_no_other(stand_in, tmp_path, monkeypatch):
    _fetch(tmp_path)
    newer = bytes(reversed(FILES[VOICE]))
    monkeypatch.setitem(FILES, VOICE, newer)
    stand_in.bodies[VOICE] = newer
    manifest = small_manifest()
    assert locate("dia", tmp_path, manifest=manifest) is None
    lines: list[str] = []
    fetch("dia", tmp_path, lines.append, manifest=manifest)
    assert (tmp_path / "dia" / "model" / SHARD).read_bytes() == newer
    assert len(stand_in.downloads("config.json")) == 2
    assert any("model/model.safetensors has sha256" in line and "fetching it again" in line for line in lines)


def test_files_copied_by_hand_need_no_hub(tmp_path, monkeypatch):
    point_to(NOBODY, monkeypatch)
    copy_files(tmp_path / "dia")
    assert _fetch(tmp_path) == _locate(tmp_path)


def test_a_damaged_file_alone_is_fetched_again(stand_in, tmp_path):
    _fetch(tmp_path)
    (tmp_path / "dia" / "codec" / SHARD).write_bytes(b"short")
    assert _locate(tmp_path) is None
    before = len(stand_in.downloads())
    marker = tmp_path / "dia" / ".verified.json"
    marked: list[bool] = []
    _fetch(tmp_path, lambda line: marked.append(marker.exists()) if line.startswith("fetching") else None)
    assert marked == [False], "nothing is marked complete while a file of it is replaced"
    assert len(stand_in.downloads()) == before + 1
    assert is_whole(tmp_path)


def test_an_unknown_name_lists_the_names(tmp_path):
    with pytest.raises(WeightsError, match="has dia"):
        fetch("musik", tmp_path, manifest=MANIFEST)


def test_a_long_download_says_how_far_it_is(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.0)
    lines: list[str] = []
    _fetch(tmp_path, lines.append)
    ends = [line for line in lines if line.startswith("model/model.safetensors: 300 kB of 300 kB, 100 %")]
    assert len(ends) == 1
