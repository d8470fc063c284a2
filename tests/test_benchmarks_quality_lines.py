"""The sentence lists: complete, varied, spoken by both voices, and unknown to training."""

from pathlib import Path

import pytest

from benchmarks.quality.lines import LISTS, Line, read_list, tagged
from models.dia.script import parse_script

TRAINING = Path(__file__).parent.parent / "training"
SIZES = {"everyday": 100, "open": 100, "dialogues": 50, "conversations": 10, "special": 20, "development": 60}


@pytest.mark.parametrize("name", LISTS)
def test_each_list_has_its_size_and_repeats_nothing(name: str) -> None:
    scripts = [line.script for line in read_list(name)]
    assert len(set(scripts)) == len(scripts) == SIZES[name]


def test_no_line_stands_in_two_lists() -> None:
    words = [line.words.lower() for name in LISTS for line in read_list(name)]
    assert len(set(words)) == len(words)


def test_no_line_is_among_the_texts_of_training() -> None:
    texts = " ".join(path.read_text(encoding="utf-8").lower() for path in sorted(TRAINING.rglob("*.txt")))
    sentences = [text.lower() for name in LISTS for line in read_list(name) for _, text in line.turns]
    assert [text for text in sentences if len(text.split()) > 3 and text in texts] == []


@pytest.mark.parametrize("name", LISTS)
def test_every_line_is_a_script_that_dia_takes_as_it_is(name: str) -> None:
    for line in read_list(name):
        assert [(turn.speaker, turn.text) for turn in parse_script(line.script).turns] != [], line
        assert line.turns[0][1], line


def test_single_lines_alternate_between_the_speakers() -> None:
    assert [line.speaker for line in read_list("everyday", 4)] == [1, 2, 1, 2]
    assert sum(1 for line in read_list("open") if line.speaker == 1) == 50


def test_dialogues_have_two_turns_by_two_speakers_and_each_may_begin() -> None:
    turns = [[speaker for speaker, _ in line.turns] for line in read_list("dialogues")]
    assert {tuple(one) for one in turns} == {(1, 2), (2, 1)}
    assert all(3 <= len(line.turns) <= 6 for line in read_list("conversations"))


def test_cues_are_not_to_be_heard_and_other_asides_are() -> None:
    line = Line("special", 1, "[S1] (laughs) Well (more or less) done. [S2] Thanks. (sighs)")
    assert line.turns == ((1, "Well (more or less) done."), (2, "Thanks."))
    assert line.words == "Well (more or less) done. Thanks."
    assert line.speaker is None


def test_a_seed_depends_on_the_line_and_the_base_alone() -> None:
    first, second = tagged(["One.", "Two."], "everyday")
    assert first.seed(0) == Line("everyday", 1, "[S1] Other words.").seed(0)
    assert len({first.seed(0), first.seed(1), second.seed(0)}) == 3
    assert 0 <= first.seed(0) < 2**32
