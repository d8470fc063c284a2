"""How words are read, written down for the text encoder: every letter with the phone read from it, or none."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.phones import Phone

LABELS = [".", " ", "k", "s", "a", "t"]
TEXTS = ["kat sat.", "task.", "at a zoo.", "kats."]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with four texts in which every letter is a phone, written down."""
    for name in ("faker", "num2words"):
        pytest.importorskip(name, reason="needs training/requirements.txt")
    from training import pronunciations

    monkeypatch.setattr(pronunciations, "draw", lambda count, seed, shares: TEXTS[:count])
    monkeypatch.setattr(pronunciations, "phones_of", lambda text: [[Phone(c, (c,)) for c in text]])
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "labels.json").write_text(json.dumps({"phones": LABELS}))
    pronunciations.write_pronunciations(tmp_path, len(TEXTS), seed=0)
    return tmp_path


def test_every_letter_has_its_phone_and_strange_sounds_are_left_out(run: Path) -> None:
    with np.load(run / "pronunciations.npz") as file:
        text, letters, lengths = file["text"], file["letters"], json.loads(str(file["meta"]))
    kept = [t for t in TEXTS if "z" not in t]
    assert bytes(text).decode() == "".join(kept)
    assert lengths == [len(t) for t in kept]
    assert [LABELS[label] for label in letters] == list("".join(kept))
