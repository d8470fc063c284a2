"""choose: which checkpoint is taken where, and what the note says."""

import time
from pathlib import Path

import pytest
from weights_fixtures import FILES, NOBODY, SHARD, copy_files, point_to, serve_hub, small_manifest

from models.errors import WeightsError
from models.weights import Choice, choice, choose, hub, verify

MANIFEST = small_manifest()
VOICE = ("makers/voice", SHARD)


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path, monkeypatch):
    """No hub answers and no checkpoint comes with the source, unless a test lays it out."""
    point_to(NOBODY, monkeypatch)
    monkeypatch.setattr(choice, "SOURCE_WEIGHTS", tmp_path / "source")


@pytest.fixture
def stand_in(monkeypatch):
    with serve_hub(monkeypatch) as state:
        yield state


def _choose(root: Path, environ: dict[str, str] | None = None, make_random=copy_files) -> Choice:
    chosen = choose(environ or {}, root, make_random=make_random, manifest=MANIFEST)
    assert "\n" not in chosen.note
    assert chosen.paths.model == root / chosen.paths.name / "model"
    assert (chosen.paths.model / "config.json").is_file()
    return chosen


def _unwanted(folder: Path) -> None:
    raise AssertionError("no random checkpoint is needed")


@pytest.fixture
def with_dia(tmp_path):
    copy_files(tmp_path / "dia")
    verify("dia", tmp_path, manifest=MANIFEST)
    return tmp_path


@pytest.fixture
def with_builtin(tmp_path):
    copy_files(tmp_path / "dia-builtin")
    return tmp_path


def test_dia_on_disk_is_taken_and_nobody_asked(with_dia, monkeypatch):
    copy_files(with_dia / "dia-builtin")
    monkeypatch.setattr(hub, "why_unreachable", _unwanted)
    chosen = _choose(with_dia, make_random=_unwanted)
    assert chosen.paths.name == "dia"
    assert chosen.note == f"Speaking with Small voice from {with_dia / 'dia'}"


def test_dia_is_fetched_if_the_hub_answers(stand_in, with_builtin):
    assert _choose(with_builtin, make_random=_unwanted).paths.name == "dia"
    assert (with_builtin / "dia" / "model" / SHARD).read_bytes() == FILES[VOICE]


def test_copied_files_are_checked_and_taken_without_the_hub(tmp_path):
    copy_files(tmp_path / "dia")
    assert _choose(tmp_path, make_random=_unwanted).paths.name == "dia"


def test_copied_files_that_are_damaged_are_told(with_builtin):
    copy_files(with_builtin / "dia")
    (with_builtin / "dia" / "model" / SHARD).write_bytes(bytes(300_000))
    chosen = _choose(with_builtin)
    assert chosen.paths.name == "dia-builtin"
    assert "model/model.safetensors has sha256" in chosen.note


def test_the_builtin_is_taken_without_a_hub_and_the_note_says_why(with_builtin):
    chosen = _choose(with_builtin, make_random=_unwanted)
    assert chosen.paths.name == "dia-builtin"
    for words in ("because Small voice is not in", "no connection to the hub", "python -m models.weights fetch dia"):
        assert words in chosen.note


@pytest.mark.parametrize("switch", ["PARLEY_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_an_offline_switch_keeps_the_hub_out(switch, value, stand_in, with_builtin):
    chosen = _choose(with_builtin, {switch: value})
    assert chosen.paths.name == "dia-builtin"
    assert f"switched off by {switch}" in chosen.note
    assert stand_in.requests == []


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_an_offline_switch_that_is_off_lets_the_hub_in(value, stand_in, with_builtin):
    assert _choose(with_builtin, {"PARLEY_OFFLINE": value, "HF_HUB_OFFLINE": value}).paths.name == "dia"


def test_a_hub_that_refuses_leads_to_the_builtin(stand_in, with_builtin):
    stand_in.status["makers/voice", "config.json"] = (401, "")
    chosen = _choose(with_builtin)
    assert chosen.paths.name == "dia-builtin"
    assert "refuses access (status 401)" in chosen.note


def test_a_fetch_that_fails_leads_to_the_builtin_and_keeps_what_came(stand_in, with_builtin):
    stand_in.cuts[VOICE] = [150_000, 0, 0]
    chosen = _choose(with_builtin)
    assert chosen.paths.name == "dia-builtin"
    assert "model/model.safetensors: no connection" in chosen.note
    assert _choose(with_builtin).paths.name == "dia"
    assert stand_in.downloads(SHARD)[3]["range"] == "bytes=150000-"


def test_a_silent_hub_costs_no_more_than_the_timeout(with_builtin, monkeypatch):
    """The look-up of a host's name knows no timeout, so the question is asked in a thread."""
    monkeypatch.setattr(choice, "HUB_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(hub, "get_hf_file_metadata", lambda *arguments, **options: time.sleep(2))
    started = time.monotonic()
    chosen = _choose(with_builtin)
    assert time.monotonic() - started < 1.5
    assert "the hub gives no answer within 0.2 s" in chosen.note


def test_random_weights_are_the_last_resort_and_called_noise(tmp_path):
    chosen = _choose(tmp_path)
    assert chosen.paths.name == "dia-random"
    assert chosen.note.startswith("Using dia-random (random weights, which make noise and no speech), because")
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_random_weights_are_made_once(tmp_path):
    _choose(tmp_path)
    assert _choose(tmp_path, make_random=_unwanted).paths.name == "dia-random"


def test_random_weights_that_were_not_finished_leave_nothing(tmp_path):
    def make_half(folder: Path) -> None:
        copy_files(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _choose(tmp_path, make_random=make_half)
    assert not (tmp_path / "dia-random").exists()
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_two_makers_of_random_weights_end_with_one(tmp_path):
    def make_while_another_does(folder: Path) -> None:
        copy_files(tmp_path / "dia-random")
        copy_files(folder)

    assert _choose(tmp_path, make_random=make_while_another_does).paths.name == "dia-random"
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_random_weights_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "dia-random" / "model").mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"cannot be written.*delete .*dia-random"):
        _choose(tmp_path)


def test_a_broken_builtin_of_pickles_is_told_and_not_passed_over(tmp_path):
    folder = tmp_path / "dia-builtin" / "model"
    folder.mkdir(parents=True)
    (folder / "pytorch_model.bin").write_bytes(b"0")
    with pytest.raises(WeightsError, match="can run any program"):
        _choose(tmp_path)


def test_pickles_in_the_place_of_dia_are_told_in_the_note(with_builtin):
    folder = with_builtin / "dia" / "model"
    folder.mkdir(parents=True)
    (folder / "pytorch_model.bin").write_bytes(b"0")
    assert "can run any program" in _choose(with_builtin).note


@pytest.mark.parametrize("name", ["dia", "dia-builtin", "dia-random"])
def test_a_name_forces_the_checkpoint(name, with_dia):
    copy_files(with_dia / "dia-builtin")
    chosen = _choose(with_dia, {"PARLEY_MODEL": f" {name} "})
    assert chosen.paths.name == name
    assert name in chosen.note
    assert "PARLEY_MODEL" in chosen.note


@pytest.mark.parametrize("environ", [{}, {"PARLEY_OFFLINE": "1"}])
def test_dia_by_name_is_never_replaced_by_another(environ, with_builtin):
    with pytest.raises(WeightsError, match=r"python -m models\.weights fetch dia"):
        _choose(with_builtin, environ | {"PARLEY_MODEL": "dia"})


def test_dia_by_name_is_fetched(stand_in, tmp_path):
    assert _choose(tmp_path, {"PARLEY_MODEL": "dia"}).paths.name == "dia"


def test_the_builtin_by_name_is_never_replaced_by_another(with_dia):
    with pytest.raises(WeightsError, match=r"neither .* holds a complete one"):
        _choose(with_dia, {"PARLEY_MODEL": "dia-builtin"})


@pytest.mark.parametrize("environ", [{}, {"PARLEY_MODEL": "dia-builtin"}])
def test_the_builtin_of_the_source_is_found_behind_a_volume_for_weights(environ, tmp_path):
    copy_files(tmp_path / "source" / "dia-builtin")
    chosen = choose(environ, tmp_path / "volume", make_random=_unwanted, manifest=MANIFEST)
    assert chosen.paths.model == tmp_path / "source" / "dia-builtin" / "model"


def test_an_unknown_name_lists_the_names(tmp_path):
    with pytest.raises(WeightsError, match=r"PARLEY_MODEL is 'dia2'; .* dia, dia-builtin, dia-random"):
        _choose(tmp_path, {"PARLEY_MODEL": "dia2"})


def test_the_place_comes_from_the_environment_it_is_given(with_dia):
    environ = {"PARLEY_WEIGHTS_DIR": str(with_dia)}
    assert choose(environ, make_random=_unwanted, manifest=MANIFEST).paths.model == with_dia / "dia" / "model"
