"""Checkpoints whose sha256 nobody published: asked once, checked when they come, recorded, checked ever after."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import weights_fixtures
from weights_fixtures import (
    FILES,
    NOBODY,
    REVISIONS,
    SHARD,
    copy_files,
    is_whole,
    manifest_entries,
    open_entries,
    parts,
    point_to,
    serve_hub,
)

from models.errors import WeightsError
from models.weights import Manifest, fetch, locate, progress, verify
from models.weights import __main__ as command

VOICE = ("makers/voice", SHARD)


def _manifest(change: Callable[[list[dict]], object] = lambda repositories: None) -> Manifest:
    entries = open_entries()
    change(entries["checkpoints"][0]["repositories"])
    return Manifest.model_validate_json(json.dumps(entries))


MANIFEST = _manifest()


@pytest.fixture
def stand_in(monkeypatch):
    with serve_hub(monkeypatch) as state:
        yield state


@pytest.fixture
def fetched(stand_in, tmp_path):
    """A root with a checkpoint of which the first download was recorded."""
    _fetch(tmp_path)
    stand_in.requests.clear()
    return tmp_path


def _fetch(root: Path, say: Callable[[str], None] = progress.silent, manifest: Manifest = MANIFEST):
    return fetch("dia", root, say, manifest=manifest)


def _locate(root: Path, manifest: Manifest = MANIFEST):
    return locate("dia", root, manifest=manifest)


def _damage(path: Path) -> None:
    """Another byte, the same size, a later time."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 60))


def test_the_first_download_records_commit_size_and_sha256_of_every_file(stand_in, tmp_path):
    lines: list[str] = []
    assert _fetch(tmp_path, lines.append) == _locate(tmp_path)
    assert is_whole(tmp_path)
    lock = json.loads((tmp_path / "dia" / "lock.json").read_text())
    recorded = {
        (entry["repo"], file): (entry["revision"], contents["size"], contents["sha256"])
        for entry in lock["repositories"]
        for file, contents in entry["files"].items()
    }
    published = {
        (entry["repo"], file): (entry["revision"], contents["size"], contents["sha256"])
        for entry in manifest_entries()["checkpoints"][0]["repositories"]
        for file, contents in entry["files"].items()
    }
    assert recorded == published
    assert "the sha256 of the files of makers/voice are recorded at this download, because nobody published them" in (
        lines
    )


def test_a_second_fetch_asks_nobody(fetched, stand_in):
    _fetch(fetched)
    assert stand_in.requests == []


def test_a_recorded_checkpoint_is_verified_without_a_hub(fetched, monkeypatch):
    point_to(NOBODY, monkeypatch)
    assert verify("dia", fetched, manifest=MANIFEST) == _locate(fetched)


@pytest.mark.parametrize("file", ["model/config.json", f"model/{SHARD}", f"codec/{SHARD}"])
def test_what_changed_since_the_first_download_is_found_and_fetched_again(file, fetched, stand_in):
    _damage(fetched / "dia" / file)
    assert _locate(fetched) is None
    with pytest.raises(WeightsError, match=f"{file} has sha256"):
        verify("dia", fetched, manifest=MANIFEST)
    _fetch(fetched)
    assert is_whole(fetched)
    assert {kind for kind, _, _ in stand_in.requests} <= {"HEAD", "GET", "bytes"}, "the hub's list is not asked again"


def test_a_hub_that_changed_its_mind_is_refused_ever_after(fetched, stand_in):
    """The same commit, and another file: the record counts, not the hub."""
    stand_in.bodies[VOICE] = bytes(300_000)
    (fetched / "dia" / "model" / SHARD).unlink()
    with pytest.raises(WeightsError, match="the hub offers sha256"):
        _fetch(fetched)


def test_the_recorded_commit_is_asked_for_when_a_newer_one_is_there(fetched, stand_in, monkeypatch):
    monkeypatch.setitem(weights_fixtures.REVISIONS, "makers/codec", "d" * 40)
    (fetched / "dia" / "codec" / SHARD).unlink()
    with pytest.raises(WeightsError, match="no longer has this file at the pinned revision"):
        _fetch(fetched)


def test_a_checkpoint_is_carried_with_its_record(fetched, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    copy_files(other / "dia")
    with pytest.raises(WeightsError, match=r"copy lock\.json into .*fetch dia: it asks the hub once"):
        verify("dia", other, manifest=MANIFEST)
    (other / "dia" / "lock.json").write_bytes((fetched / "dia" / "lock.json").read_bytes())
    point_to(NOBODY, monkeypatch)
    assert _locate(other) is None
    assert verify("dia", other, manifest=MANIFEST) == _locate(other)


def test_files_that_are_here_without_a_record_are_not_downloaded_again(stand_in, tmp_path):
    copy_files(tmp_path / "dia")
    _fetch(tmp_path)
    assert stand_in.downloads() == []
    assert _locate(tmp_path) is not None


@pytest.mark.parametrize(("key", "words"), [(VOICE, "sha256"), (("makers/codec", "config.json"), "git's hash")])
def test_what_comes_otherwise_than_the_hub_said_is_refused_and_not_recorded(key, words, stand_in, tmp_path):
    stand_in.offered[key] = FILES[key]
    stand_in.bodies[key] = b"?" + FILES[key][1:]
    with pytest.raises(WeightsError, match=f"{words} .* was deleted"):
        _fetch(tmp_path)
    assert not (tmp_path / "dia" / "lock.json").exists()
    assert _locate(tmp_path) is None
    stand_in.bodies[key] = FILES[key]
    _fetch(tmp_path)
    assert is_whole(tmp_path)


def test_a_first_download_that_broke_off_goes_on_and_is_recorded_at_its_end(stand_in, tmp_path):
    stand_in.cuts[VOICE] = [150_000, 0, 0]
    with pytest.raises(WeightsError, match="What has arrived is kept"):
        _fetch(tmp_path)
    assert [part.stat().st_size for part in parts(tmp_path)] == [150_000]
    assert not (tmp_path / "dia" / "lock.json").exists()
    _fetch(tmp_path)
    assert stand_in.downloads(SHARD)[3]["range"] == "bytes=150000-"
    assert is_whole(tmp_path)


def test_the_first_name_that_the_repository_has_is_taken(stand_in, tmp_path):
    """A checkpoint from before safetensors, in two shards."""
    shards = {("makers/voice", f"old-{number}.bin"): bytes([number]) * 1000 for number in (1, 2)}
    stand_in.bodies = {key: data for key, data in FILES.items() if key != VOICE} | shards
    _fetch(tmp_path)
    assert sorted(path.name for path in (tmp_path / "dia" / "model").iterdir()) == [
        "config.json",
        "old-1.bin",
        "old-2.bin",
    ]


def test_a_repository_without_a_file_that_is_wanted_is_told_with_what_it_has(stand_in, tmp_path):
    del stand_in.bodies[VOICE]
    with pytest.raises(
        WeightsError, match=r"makers/voice has no file model\*\.safetensors or old\*\.bin; it has config"
    ):
        _fetch(tmp_path)


def test_a_name_that_would_leave_its_folder_is_not_taken(stand_in, tmp_path):
    stand_in.listed = ["config.json", SHARD, "model/../../../out.safetensors", ".model.safetensors"]
    _fetch(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.safetensors")) == [SHARD, SHARD]


def test_a_hub_that_does_not_say_what_a_file_is_is_not_believed(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_fixtures, "git_sha1", lambda data: "")
    with pytest.raises(WeightsError, match=r"model/config\.json: the hub does not say what it is"):
        _fetch(tmp_path)


def test_a_hub_that_shows_another_commit_than_the_pinned_one_is_not_believed(stand_in, tmp_path):
    stand_in.commit = "e" * 40
    with pytest.raises(WeightsError, match=f"shows commit {'e' * 40} for revision {'a' * 40}"):
        _fetch(tmp_path)


@pytest.mark.parametrize(("status", "words"), [(404, "no such repository"), (401, "HF_TOKEN"), (503, "status 503")])
def test_a_hub_that_does_not_list_its_files_is_told(status, words, stand_in, tmp_path):
    stand_in.status["makers/voice", ""] = (status, "RepoNotFound" if status == 404 else "")
    with pytest.raises(WeightsError, match=f"makers/voice: .*{words}"):
        _fetch(tmp_path)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"siblings": [{}]}', b'{"siblings": 5}', b"{}"])
def test_a_list_of_files_that_makes_no_sense_is_told(answer, stand_in, tmp_path):
    """A proxy's page, or a hub of another making."""
    stand_in.list_body = answer
    with pytest.raises(
        WeightsError, match=r"makers/voice: the hub('s list of its files cannot be read| shows commit None)"
    ):
        _fetch(tmp_path)


def test_a_hub_that_is_not_there_is_told(tmp_path, monkeypatch):
    point_to(NOBODY, monkeypatch)
    with pytest.raises(WeightsError, match="makers/voice: no connection to the hub"):
        _fetch(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "repositories": []}'])
def test_a_spoiled_record_is_told_and_not_passed_over(text, fetched):
    (fetched / "dia" / "lock.json").write_text(text)
    with pytest.raises(WeightsError, match=r"lock\.json cannot be read.*Restore it, or delete it"):
        _locate(fetched)


@pytest.mark.parametrize(
    "change",
    [
        lambda repositories: repositories[0].update(revision="c" * 40),
        lambda repositories: repositories[0].update(repo="makers/codec"),
        lambda repositories: repositories[0]["take"].append("tokenizer.json"),
        lambda repositories: repositories[0].update(take=["config.json"]),
        lambda repositories: repositories[1].update(target="text"),
    ],
)
def test_a_record_of_other_files_than_the_manifest_asks_for_counts_as_none(change, fetched):
    assert _locate(fetched, _manifest(change)) is None


def test_a_record_is_of_no_use_for_what_the_manifest_pins(fetched):
    """A manifest that learned the pins later reads the same files without their record."""
    entries = manifest_entries()
    entries["checkpoints"][0]["repositories"][1] = open_entries()["checkpoints"][0]["repositories"][1]
    assert _locate(fetched, Manifest.model_validate_json(json.dumps(entries))) is not None


def test_files_pinned_beside_others_keep_the_manifests_word(stand_in, tmp_path):
    pins = manifest_entries()["checkpoints"][0]["repositories"][0]["files"]
    mixed = _manifest(lambda repositories: repositories[0].update(files={SHARD: pins[SHARD]}, take=["config.json"]))
    stand_in.bodies[VOICE] = bytes(300_000)
    with pytest.raises(WeightsError, match="the hub offers sha256"):
        _fetch(tmp_path, manifest=mixed)
    stand_in.bodies[VOICE] = FILES[VOICE]
    _fetch(tmp_path, manifest=mixed)
    assert is_whole(tmp_path)


def test_list_says_what_is_not_pinned_and_why(stand_in, tmp_path, capsys):
    def shown() -> str:
        assert command.main(["list", "--root", str(tmp_path)], MANIFEST) == 0
        return capsys.readouterr().out

    text = shown()
    assert "dia  size known at the first download  not here: python -m models.weights fetch dia" in text
    assert f"Apache-2.0  makers/voice @ {'a' * 40}\n    not pinned by the manifest, because nobody published" in text
    assert "makers/codec @ the newest revision" in text
    _fetch(tmp_path)
    text = shown()
    assert "dia  380 kB  complete" in text
    assert f"makers/codec @ {REVISIONS['makers/codec']}" in text
    _damage(tmp_path / "dia" / "model" / SHARD)
    assert "all files here, not checked" in shown()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"take": []}, "neither files nor take"),
        ({"take": ["model*.safetensors"]}, "must take one file first"),
        ({"take": ["../config.json"]}, "String should match pattern"),
        ({"unpinned": None}, "must say under unpinned why"),
        ({"files": {SHARD: {"size": 1, "sha256": "0" * 64}}, "revision": None}, "pins files at no revision"),
    ],
)
def test_an_entry_that_leaves_too_much_open_is_rejected(change, words):
    with pytest.raises(ValueError, match=words):
        _manifest(lambda repositories: repositories[0].update(change))


def test_a_pinned_entry_needs_no_excuse():
    entries = manifest_entries()
    entries["checkpoints"][0]["repositories"][0]["unpinned"] = "of no reason"
    with pytest.raises(ValueError, match="and only then"):
        Manifest.model_validate_json(json.dumps(entries))
