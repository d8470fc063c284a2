"""Files are written whole or not at all, and a codec training logs, saves and goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from training.codec import loop
from training.codec.loop import Resumable, keep_learning, means_of
from training.files import append_log, lines_of, whole_file


def test_a_file_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with whole_file(path) as file:
        file.write(b"first")
        assert not path.exists()
        assert not list(tmp_path.glob("*.npz")), "no one who looks for such files finds half of one"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_grows_by_a_line(tmp_path: Path) -> None:
    append_log(tmp_path, {"step": 1})
    append_log(tmp_path, {"step": 2})
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [
        {"step": 1},
        {"step": 2},
    ]


class Counting(Resumable):
    """Learns to count."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count = 0
        self.saved: list[int] = []
        self.resume()

    def state(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]

    def learn(self) -> dict[str, float | list[float]]:
        self.count += 10
        self.step += 1
        return {"loss": 1 / self.step, "right": [float(self.step), 0.0]}

    def save(self) -> None:
        self.saved.append(self.step)
        super().save()


def test_a_training_goes_on_to_its_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "REPORT", 2)
    first = Counting(tmp_path / "counting.pt")
    keep_learning(first, first.learn, 3)
    second = Counting(tmp_path / "counting.pt")
    assert (second.step, second.count, second.minutes) == (3, 30, first.minutes)
    keep_learning(second, second.learn, 3)
    assert second.count == 30, "nothing is left to do"
    keep_learning(second, second.learn, 6)
    assert (second.step, second.count) == (6, 60)
    assert second.minutes > first.minutes > 0
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(entry["step"], entry["loss"], entry["right"]) for entry in entries] == [
        (2, 0.75, [1.5, 0.0]),
        (4, 0.25, [4.0, 0.0]),
        (6, 0.1833, [5.5, 0.0]),
    ]


def test_a_training_is_saved_now_and_then_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    often, seldom = Counting(tmp_path / "a.pt"), Counting(tmp_path / "b.pt")
    keep_learning(seldom, seldom.learn, 3)
    assert seldom.saved == [3]
    monkeypatch.setattr(loop, "SAVE", 0)
    keep_learning(often, often.learn, 3)
    assert often.saved == [1, 2, 3, 3]


def test_a_file_of_another_training_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({"other": 1, "step": 7, "minutes": 1.0}, tmp_path / "counting.pt")
    with pytest.raises(ValueError, match=r"counting\.pt does not fit"):
        Counting(tmp_path / "counting.pt")


def test_a_number_that_only_some_steps_have_is_the_mean_of_theirs() -> None:
    assert means_of([{"a": 1.0}, {"a": 2.0, "b": 4.0}, {"a": 4.00004, "b": 5.0}]) == {"a": 2.3333, "b": 4.5}


def test_lines_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("one\n\n  two \n   \nthree")
    assert lines_of(tmp_path / "texts") == ["one", "two", "three"]
