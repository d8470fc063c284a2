"""choose_music: which checkpoint plays, and what the note says."""

import json
from pathlib import Path

import pytest
from weights_fixtures import NOBODY, SHARD, copy_files, manifest_entries, point_to, serve_hub

from models.errors import WeightsError
from models.weights import MUSIC_NAMES, Choice, Manifest, choose_music, is_out_of_reach, load_manifest, verify
from models.weights.music_choice import DIFFUSION, PUBLISHED


def _manifest() -> Manifest:
    """Two checkpoints of the stand-in's files, under names of music."""
    entries = manifest_entries()
    dia = entries["checkpoints"][0]
    entries["checkpoints"] = [
        dia | {"name": name, "title": f"Small {name}"} for name in ("musicgen-melody", "musicgen-small")
    ]
    return Manifest.model_validate_json(json.dumps(entries))


MANIFEST = _manifest()


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch):
    point_to(NOBODY, monkeypatch)


@pytest.fixture
def with_melody(tmp_path):
    copy_files(tmp_path / "musicgen-melody")
    verify("musicgen-melody", tmp_path, manifest=MANIFEST)
    return tmp_path


def _make(folder: Path, name: str) -> None:
    copy_files(folder)
    (folder / "model" / "name").write_text(name)


def _unwanted(folder: Path, name: str) -> None:
    raise AssertionError("no random checkpoint is needed")


def _choose(root: Path, asked: str | None = None, named: str = "", make_random=_unwanted, **environ: str) -> Choice:
    environ |= {"PARLEY_MUSIC_MODEL": named}
    return choose_music(environ, asked, root, make_random=make_random, manifest=MANIFEST)


def test_the_names_are_those_of_the_manifest_and_the_random_ones():
    assert set(MUSIC_NAMES) == {*PUBLISHED, "musicgen-random", "musicgen-stereo-random", "audiogen-random"}
    assert {*PUBLISHED, DIFFUSION} <= set(load_manifest().names)


@pytest.mark.parametrize(("asked", "named"), [(None, ""), ("musicgen-melody", ""), (None, " musicgen-melody ")])
def test_what_is_on_disk_is_taken(asked, named, with_melody):
    chosen = _choose(with_melody, asked, named)
    assert chosen.paths.model == with_melody / "musicgen-melody" / "model"
    assert chosen.note.startswith(f"Playing with Small musicgen-melody from {with_melody / 'musicgen-melody'}")
    assert ("as PARLEY_MUSIC_MODEL says" in chosen.note) == bool(named)
    assert "asked for" not in chosen.note


def test_what_is_not_here_is_fetched(tmp_path, monkeypatch):
    with serve_hub(monkeypatch):
        chosen = _choose(tmp_path, "musicgen-small")
    assert chosen.paths.name == "musicgen-small"
    assert (tmp_path / "musicgen-small" / "model" / SHARD).is_file()


@pytest.mark.parametrize("switch", [{}, {"PARLEY_OFFLINE": "1"}])
def test_what_cannot_be_had_is_never_replaced_by_another(switch, with_melody):
    with pytest.raises(WeightsError) as caught:
        _choose(with_melody, "musicgen-small", **switch)
    for words in ("Small musicgen-small is not in", "python -m models.weights fetch musicgen-small"):
        assert words in str(caught.value)
    assert "PARLEY_MUSIC_MODEL=musicgen-random: it makes noise" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "named", "offline", "expected"),
    [
        ("musicgen-small", "", "1", True),
        ("musicgen-small", "", "", False),  # the hub may have it
        ("musicgen-melody", "", "1", False),
        ("musicgen-small", "musicgen-melody", "1", False),
        ("musicgen-melody", "musicgen-small", "1", True),
        ("musicgen-small", "musicgen-random", "1", False),
        ("musicgen-melody", "musicgen-tiny", "", True),
        ("musicgen-melody", "/nowhere", "", True),
    ],
)
def test_what_cannot_be_had_is_known_beforehand(asked, named, offline, expected, with_melody):
    environ = {"PARLEY_MUSIC_MODEL": named, "HF_HUB_OFFLINE": offline}
    assert is_out_of_reach(environ, asked, with_melody, manifest=MANIFEST) is expected


def test_what_was_copied_by_hand_is_within_reach(tmp_path):
    copy_files(tmp_path / "musicgen-small")
    assert not is_out_of_reach({"PARLEY_OFFLINE": "1"}, "musicgen-small", tmp_path, manifest=MANIFEST)


def test_a_folder_of_ones_own_is_within_reach(tmp_path):
    (tmp_path / "model").mkdir()
    assert not is_out_of_reach({"PARLEY_MUSIC_MODEL": f"{tmp_path}/"}, "musicgen-small", tmp_path, manifest=MANIFEST)


def test_the_operators_word_counts_and_is_told(with_melody):
    chosen = _choose(with_melody, "musicgen-large", "musicgen-melody")
    assert chosen.paths.name == "musicgen-melody"
    assert chosen.note.endswith("as PARLEY_MUSIC_MODEL says, though musicgen-large is asked for")


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (None, "musicgen-random"),
        ("musicgen-random", "musicgen-random"),
        ("musicgen-large", "musicgen-random"),
        ("musicgen-stereo-large", "musicgen-stereo-random"),
        ("audiogen-medium", "audiogen-random"),
        ("audiogen-random", "audiogen-random"),
    ],
)
def test_random_weights_by_name_are_made_once_and_called_noise(asked, made, tmp_path):
    chosen = _choose(tmp_path, asked, "musicgen-random", _make)
    assert chosen.paths.name == (tmp_path / made / "model" / "name").read_text() == made
    assert f"Using {made} (random weights, which make noise and no music; for tests)" in chosen.note
    assert _choose(tmp_path, asked, "musicgen-random").paths == chosen.paths
    assert list((tmp_path / ".incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["musicgen-random", "musicgen-stereo-random", "audiogen-random"])
def test_random_weights_can_be_asked_for_without_the_operator(name, tmp_path):
    chosen = _choose(tmp_path, name, make_random=_make)
    assert chosen.paths.name == name
    assert "PARLEY_MUSIC_MODEL" not in chosen.note


@pytest.mark.parametrize(("asked", "named", "where"), [("dia", "", "asked for is 'dia'"), (None, "big", "is 'big'")])
def test_an_unknown_name_lists_the_names(asked, named, where, tmp_path):
    with pytest.raises(WeightsError, match=f"{where}; it must be one of musicgen-small, .*audiogen-random"):
        _choose(tmp_path, asked, named)


def test_a_folder_of_ones_own_plays_whatever_is_asked_for(tmp_path):
    copy_files(tmp_path / "elsewhere" / "my-tune")
    chosen = _choose(tmp_path, "musicgen-large", str(tmp_path / "elsewhere" / "my-tune"))
    assert (chosen.paths.name, chosen.paths.model) == ("my-tune", tmp_path / "elsewhere" / "my-tune" / "model")
    assert chosen.paths.text == tmp_path / "elsewhere" / "my-tune" / "text"
    assert "which nothing verified, as PARLEY_MUSIC_MODEL says" in chosen.note


def test_a_folder_of_ones_own_that_is_none_says_what_belongs_there(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no .*my-tune/model\. Put config\.json .* or state_dict\.bin"):
        _choose(tmp_path, None, str(tmp_path / "my-tune"))


def test_the_place_comes_from_the_environment_it_is_given(with_melody):
    environ = {"PARLEY_WEIGHTS_DIR": str(with_melody)}
    chosen = choose_music(environ, make_random=_unwanted, manifest=MANIFEST)
    assert chosen.paths.model == with_melody / "musicgen-melody" / "model"
