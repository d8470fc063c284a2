"""weights/manifest.json and the rules it must keep."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from weights_fixtures import TOTAL, manifest_entries, small_manifest

from models.errors import WeightsError
from models.weights import load_manifest


@pytest.fixture
def manifest_file(tmp_path: Path) -> Path:
    return tmp_path / "manifest.json"


def test_the_manifest_of_the_source_is_valid_and_complete():
    dia = load_manifest().checkpoint("dia")
    by_path = {pin.path: pin for pin in dia.pins}
    assert sorted(by_path) == [
        "codec/config.json",
        "codec/model.safetensors",
        "codec/preprocessor_config.json",
        "model/config.json",
        "model/generation_config.json",
        "model/model-00001-of-00002.safetensors",
        "model/model-00002-of-00002.safetensors",
        "model/model.safetensors.index.json",
        "model/preprocessor_config.json",
    ]
    assert len({pin.sha256 for pin in dia.pins}) == len(dia.pins)
    assert {(pin.repo, len(pin.revision)) for pin in dia.pins} == {
        ("nari-labs/Dia-1.6B-0626", 40),
        ("descript/dac_44khz", 40),
    }
    assert {repository.licence for repository in dia.repositories} == {"Apache-2.0", "MIT"}


def test_the_pinned_shards_are_as_large_as_the_model_in_float32():
    """1,611,160,576 parameters of 4 bytes; the rest are the two headers of the files, below 100 kB."""
    shards = [pin.size for pin in load_manifest().checkpoint("dia").pins if "-of-" in pin.path]
    assert 0 < sum(shards) - 4 * 1_611_160_576 < 100_000
    assert load_manifest().checkpoint("dia").size == 6_751_224_677


def test_the_old_model_and_the_pickle_are_refused_with_a_reason():
    refused = {refusal.repo: refusal for refusal in load_manifest().refused}
    assert "RoPE" in refused["nari-labs/Dia-1.6B"].reason
    assert not refused["nari-labs/Dia-1.6B"].files
    assert list(refused["nari-labs/Dia-1.6B-0626"].files) == ["pytorch_model.bin"]
    assert "pickle" in refused["nari-labs/Dia-1.6B-0626"].reason


MUSIC = ("small", "medium", "large", "melody", "melody-large")
WHISPER = ("whisper-small", "whisper-large-v3")
PICKLES = (".bin", ".th", ".bin*")


def test_every_published_checkpoint_of_music_and_sound_is_there():
    names = [f"musicgen-{size}" for size in (*MUSIC, *(f"stereo-{size}" for size in MUSIC))]
    assert load_manifest().names == ("dia", *names, "audiogen-medium", "multi-band-diffusion", *WHISPER)
    for name in names:
        (repository,) = load_manifest().checkpoint(name).repositories
        assert (repository.target, repository.repo) == ("model", f"facebook/{name}")
        assert repository.revision is not None
        assert repository.licence == "CC-BY-NC-4.0"


def test_revisions_of_different_repositories_differ():
    repositories = [repository for checkpoint in load_manifest().checkpoints for repository in checkpoint.repositories]
    revisions = [repository.revision for repository in repositories if repository.revision]
    assert len(set(revisions)) == len(revisions) == len(repositories) - 1, "but one repository has one"


def test_audiogen_has_its_weights_pinned_and_brings_its_text_encoder():
    model, text = load_manifest().checkpoint("audiogen-medium").repositories
    assert model.is_pinned
    assert sorted(model.files) == ["compression_state_dict.bin", "state_dict.bin"]
    assert (text.target, text.repo, list(text.files)) == ("text", "google-t5/t5-large", ["model.safetensors"])
    assert text.choose(["config.json", "tokenizer.json", "model.safetensors", "pytorch_model.bin"]) == [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
    ]


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (
            ["model-1-of-2.safetensors", "model-2-of-2.safetensors", "model.safetensors.index.json", "state_dict.bin"],
            ["model-1-of-2.safetensors", "model-2-of-2.safetensors", "model.safetensors.index.json"],
        ),
        (["pytorch_model.bin", "state_dict.bin", "compression_state_dict.bin"], ["pytorch_model.bin"]),
    ],
)
def test_of_musicgen_the_weights_are_taken_in_the_best_format_there_is(offered, taken):
    (repository,) = load_manifest().checkpoint("musicgen-large").repositories
    small = ["config.json", "tokenizer.json"]
    assert repository.choose([*offered, *small, "README.md", ".gitattributes"]) == [*small, *taken]


def test_pickles_are_fetched_only_for_loaders_that_run_nothing_of_them():
    """Dia's are never: torch.load with weights_only reads those of models.musicgen and models.codecs.

    Whisper's model.bin is CTranslate2's own format, and no pickle.
    """
    with_pickles = {
        checkpoint.name
        for checkpoint in load_manifest().checkpoints
        for repository in checkpoint.repositories
        for name in (*repository.files, *" | ".join(repository.take).split(" | "))
        if name.endswith(PICKLES)
    }
    assert with_pickles - set(WHISPER) == set(load_manifest().names) - {"dia", *WHISPER}


def test_whispers_are_pinned_to_the_byte():
    for name in WHISPER:
        checkpoint = load_manifest().checkpoint(name)
        assert checkpoint.is_pinned
        assert {pin.path for pin in checkpoint.pins} > {"model/config.json", "model/model.bin", "model/tokenizer.json"}


def test_every_pickle_is_opened_with_weights_only():
    calls = [
        node
        for path in (Path(__file__).parents[1] / "models").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads")
    ]
    assert calls, "the loaders of music open some"
    for call in calls:
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert options.get("weights_only") == "True", ast.unparse(call)


def test_size_and_digest_follow_from_the_files():
    dia = small_manifest().checkpoint("dia")
    assert dia.size == TOTAL
    turned = dia.model_copy(update={"repositories": dia.repositories[::-1]})
    assert turned.digest == dia.digest
    assert len(dia.digest) == 64


def test_an_unknown_checkpoint_lists_the_known_ones():
    with pytest.raises(WeightsError, match=r"'dya'.*has dia"):
        small_manifest().checkpoint("dya")


def _voice(entries: dict[str, Any]) -> dict[str, Any]:
    return entries["checkpoints"][0]["repositories"][0]


def _rename_file(name: str) -> Any:
    def spoil(entries: dict[str, Any]) -> None:
        files = _voice(entries)["files"]
        files[name] = files.pop("config.json")

    return spoil


SPOILED = {
    "unknown key": lambda e: e.update(colour="red"),
    "unknown key of a file": lambda e: _voice(e)["files"]["config.json"].update(md5="0"),
    "unknown version": lambda e: e.update(version=2),
    "branch for a revision": lambda e: _voice(e).update(revision="main"),
    "short revision": lambda e: _voice(e).update(revision="a" * 39),
    "long revision": lambda e: _voice(e).update(revision="a" * 41),
    "revision with a line end": lambda e: _voice(e).update(revision="a" * 40 + "\n"),
    "short sha256": lambda e: _voice(e)["files"]["config.json"].update(sha256="f" * 63),
    "sha256 in capitals": lambda e: _voice(e)["files"]["config.json"].update(sha256="F" * 64),
    "size zero": lambda e: _voice(e)["files"]["config.json"].update(size=0),
    "size as text": lambda e: _voice(e)["files"]["config.json"].update(size="21"),
    "no files": lambda e: _voice(e).update(files={}),
    "no licence": lambda e: _voice(e).pop("licence"),
    "unknown target": lambda e: _voice(e).update(target="../model"),
    "two models": lambda e: e["checkpoints"][0]["repositories"][1].update(target="model"),
    "name taken twice": lambda e: e["checkpoints"].append(e["checkpoints"][0]),
    "name with a slash": lambda e: e["checkpoints"][0].update(name="../dia"),
    "repository without owner": lambda e: _voice(e).update(repo="voice"),
    "file above": _rename_file("../config.json"),
    "file above, inside": _rename_file("a/../../config.json"),
    "absolute file": _rename_file("/etc/config.json"),
    "drive": _rename_file("C:config.json"),
    "backslash": _rename_file("a\\config.json"),
    "hidden file": _rename_file(".verified.json"),
    "empty segment": _rename_file("a//config.json"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_manifest_is_rejected(fault, manifest_file):
    entries = manifest_entries()
    SPOILED[fault](entries)
    manifest_file.write_text(json.dumps(entries))
    with pytest.raises(WeightsError, match=r"manifest\.json is no manifest of weights"):
        load_manifest(manifest_file)


def test_a_file_in_a_folder_of_the_repository_is_allowed(manifest_file):
    entries = manifest_entries()
    _rename_file("voices/one.json")(entries)
    manifest_file.write_text(json.dumps(entries))
    assert "model/voices/one.json" in {pin.path for pin in load_manifest(manifest_file).checkpoint("dia").pins}


def test_a_manifest_that_is_not_there_names_the_way_out(tmp_path):
    with pytest.raises(WeightsError, match="PARLEY_WEIGHTS_DIR"):
        load_manifest(tmp_path / "manifest.json")


def test_a_manifest_that_is_no_json_is_rejected(manifest_file):
    manifest_file.write_text("{")
    with pytest.raises(WeightsError, match="no manifest of weights: the file"):
        load_manifest(manifest_file)
