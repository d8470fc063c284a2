"""Shards of readings and of codes: what is written is read, what exists is not made again."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from training_fixtures import ToneTeacher, random_books, utterance

from training import coding, corpus, reading
from training.codec.codebooks import BOOK_SIZE, BOOKS, Codebooks
from training.corpus import Utterance, generate, load_shard, shard_path, shards
from training.frames import FRAME, VOICES
from training.phones import Phone, group


class Counted(ToneTeacher):
    """Counts itself and what it says; has no sound for x."""

    def __init__(self) -> None:
        made.append(self)
        self.said: list[str] = []

    def say(self, phones: Sequence[Phone]) -> tuple[np.ndarray, list[float]]:
        self.said.append("".join(phone.name for phone in phones))
        if "x" in self.said[-1]:
            raise KeyError("x")
        return super().say(phones)


made: list[Counted] = []
SENTENCES = [f"{a}{b}." for a in "aeo" for b in "mns"]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(corpus, "SHARD", 3)
    monkeypatch.setattr(reading, "phones_of", lambda text: [group(text)])


def test_readings_come_back_as_they_were_made(tmp_path: Path) -> None:
    generate(tmp_path, "S1", Counted, SENTENCES, hours=1)
    paths = shards(tmp_path, "S1")
    assert paths == [shard_path(tmp_path, "S1", i) for i in range(3)]
    back = [u for path in paths for u in load_shard(path)]
    assert [u.text for u in back] == SENTENCES
    for u in back:
        direct = reading.read(ToneTeacher(), u.text)
        assert u.audio.dtype == np.int16
        assert len(u.audio) == u.frames * FRAME
        assert u.phones == direct.phones
        assert np.abs(u.audio / 32767 - direct.audio).max() < 1 / 32767


def test_a_run_that_was_cut_off_goes_on_with_the_first_missing_shard(tmp_path: Path) -> None:
    generate(tmp_path, "S1", Counted, SENTENCES[:6], hours=1)
    before = [path.read_bytes() for path in shards(tmp_path, "S1")]
    shard_path(tmp_path, "S1", 1).unlink()
    generate(tmp_path, "S1", Counted, SENTENCES, hours=1)
    assert made[1].said == SENTENCES[3:]
    assert [path.read_bytes() for path in shards(tmp_path, "S1")][:2] == before
    generate(tmp_path, "S1", Counted, SENTENCES, hours=1)
    assert len(made) == 2, "no teacher is loaded when nothing is left to read"


def test_reading_stops_when_there_is_enough(tmp_path: Path) -> None:
    generate(tmp_path, "S1", Counted, SENTENCES, hours=0.5 / 3600)
    assert len(shards(tmp_path, "S1")) == 1


def test_a_shard_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(corpus.np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path, "S1", Counted, SENTENCES, hours=1)
    assert shards(tmp_path, "S1") == []


def test_a_sentence_with_a_sound_the_teacher_lacks_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "training"):
        generate(tmp_path, "S1", Counted, ["am.", "ax.", "as."], hours=1)
    assert [u.text for u in load_shard(shard_path(tmp_path, "S1", 0))] == ["am.", "as."]
    assert "ax." in caplog.text


def write_corpus(run: Path, shards_of_each: int = 2) -> dict[str, list[Utterance]]:
    written: dict[str, list[Utterance]] = {}
    for number, voice in enumerate(VOICES):
        (run / "corpus" / voice).mkdir(parents=True)
        written[voice] = [utterance(100 * number + seed) for seed in range(4 * shards_of_each)]
        for index in range(shards_of_each):
            corpus._write(shard_path(run / "corpus", voice, index), iter(written[voice][4 * index : 4 * index + 4]))
    return written


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Random codebooks save the fit, which has its own test."""
    random_books().save(tmp_path / "codebooks.npz")
    return tmp_path


def test_codes_and_labels_agree_with_the_readings(run: Path) -> None:
    written = write_corpus(run)
    coding.encode_corpus(run, seed=0)
    labels = json.loads((run / "codes" / "labels.json").read_text())
    books = Codebooks.load(run / "codebooks.npz")
    for number, voice in enumerate(VOICES):
        assert np.array(labels["silence"][voice]).shape == (BOOKS,)
        assert labels["silence"][voice][0] // 3 == books.unit(number, " ") // 3
        with np.load(run / "codes" / voice / "00001.npz") as file:
            codes, char, phone, letters = (file[name] for name in ("codes", "char", "phone", "letters"))
            meta = json.loads(str(file["meta"]))
        expected = written[voice][4:]
        assert [entry["text"] for entry in meta] == [u.text for u in expected]
        assert [entry["frames"] for entry in meta] == [u.frames for u in expected]
        frames, texts = sum(u.frames for u in expected), sum(len(u.text) for u in expected)
        assert (codes.shape, codes.dtype) == ((frames, BOOKS), np.uint16)
        assert codes.max() < BOOK_SIZE
        assert (char.shape, char.dtype) == ((frames,), np.float32)
        assert (phone.shape, phone.dtype) == ((frames,), np.int16)
        assert (letters.shape, letters.dtype) == ((texts,), np.int16)
        first = expected[0]
        assert (codes[: first.frames] == books.encode(first, number)).all()
        spoken = [labels["phones"][i] for i in phone[: first.frames]]
        assert spoken == [name for name, k in zip_lengths(first) for _ in range(k)]
        assert (np.diff(char[: first.frames]) >= 0).all(), "letters are read in order"
        assert char[: first.frames].max() == len(first.text) - 1
        # Letter i + 1 is sound i: every sound of these texts is one letter (see training_fixtures).
        assert [labels["phones"][i] for i in letters[1 : len(first.text)]] == [n for n, _ in first.phones[2:]]


def zip_lengths(u: Utterance) -> list[tuple[str, int]]:
    ends = [0, *(end for _, end in u.phones)]
    return [(name, end - start) for (name, end), start in zip(u.phones, ends[:-1], strict=True)]


def test_only_what_is_missing_is_encoded(run: Path) -> None:
    write_corpus(run)
    coding.encode_corpus(run, seed=0)
    kept, lost = run / "codes" / "S1" / "00000.npz", run / "codes" / "S1" / "00001.npz"
    before = lost.read_bytes()
    kept.write_bytes(b"as it was")
    lost.unlink()
    coding.encode_corpus(run, seed=0)
    assert kept.read_bytes() == b"as it was"
    assert lost.read_bytes() == before


def test_a_reading_with_a_sound_that_the_sample_lacks_is_left_out(
    run: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coding, "FIT_SHARDS", 1)
    written = write_corpus(run)
    strange = utterance(99)
    strange = Utterance("zzz", strange.frames, (("ʒ", strange.frames),), strange.audio)
    path = shard_path(run / "corpus", "S1", 1)
    corpus._write(path, iter([strange, *written["S1"][5:]]))
    with caplog.at_level(logging.WARNING, "training"):
        coding.encode_corpus(run, seed=0)
    with np.load(run / "codes" / "S1" / "00001.npz") as file:
        assert [entry["text"] for entry in json.loads(str(file["meta"]))] == [u.text for u in written["S1"][5:]]
    assert "zzz" in caplog.text


def test_the_codebooks_are_fitted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path, 1)
    monkeypatch.setattr("training.codec.codebooks.FIT_ROUNDS", 1)
    coding.encode_corpus(tmp_path, seed=0)
    before = (tmp_path / "codebooks.npz").read_bytes()
    coding.encode_corpus(tmp_path, seed=1)
    assert (tmp_path / "codebooks.npz").read_bytes() == before
