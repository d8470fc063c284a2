"""Readings as they were, spoken from their codes, and heard and spoken again, for the judge of quality."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from training_fixtures import ToneTeacher, random_books, small_codec, utterance

from models.codecs.dac import DacCodec
from training import corpus, reading
from training.codec.codebooks import BOOKS, pcm
from training.codec.encoder import Listener
from training.codec.vocoder import Vocoder
from training.export import write_codec
from training.frames import FRAME, SAMPLE_RATE, VOICES
from training.phones import Phone, group
from training.round_trip import readings_of, readings_of_corpus, write_round_trips

__all__ = ["small_codec"]
KINDS = ("codes", "heard", "teacher")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two shards of two readings of each voice; all eight are different."""
    random_books().save(tmp_path / "codebooks.npz")
    for index, voice in enumerate(VOICES):
        (tmp_path / "corpus" / voice).mkdir(parents=True)
        for shard in range(2):
            readings = iter([utterance(reading_seed(index, shard, number)) for number in range(2)])
            corpus._write(corpus.shard_path(tmp_path / "corpus", voice, shard), readings)
    return tmp_path


def reading_seed(voice: int, shard: int, number: int) -> int:
    return 100 * voice + 10 * shard + number


@pytest.fixture
def vocoder(small_codec: None) -> Vocoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Vocoder(random_books()).eval()


@pytest.fixture
def codec_folder(vocoder: Vocoder, tmp_path: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        write_codec(tmp_path / "weights", vocoder, *Listener(vocoder).tensors())
    return tmp_path / "weights" / "codec"


def sound(folder: Path, kind: str, name: str) -> np.ndarray:
    audio, sample_rate = soundfile.read(folder / kind / f"{name}.wav", dtype="float32")
    assert sample_rate == SAMPLE_RATE
    return np.asarray(audio)


@torch.no_grad()
def test_every_reading_is_there_in_three_versions(run: Path, codec_folder: Path, vocoder: Vocoder) -> None:
    out = run / "trips"
    write_round_trips(run, codec_folder, out, readings_of_corpus(run / "corpus", 3))
    assert sorted(path.name for path in out.iterdir()) == list(KINDS)
    codec = DacCodec.load(codec_folder, device="cpu")
    names = [f"trip-{i:03d}" for i in range(6)]
    for kind in KINDS:
        files = sorted(path.name for path in (out / kind).iterdir())
        assert files == sorted(f"{name}.{ending}" for name in names for ending in ("wav", "txt"))
    last_shard_first = [(1, 0), (1, 1), (0, 0)]
    for name, (voice, place) in zip(names, ((v, place) for place in last_shard_first for v in (0, 1)), strict=True):
        u = utterance(reading_seed(voice, *place))
        assert {(out / kind / f"{name}.txt").read_text() for kind in KINDS} == {f"[{VOICES[voice]}] {u.text}\n"}
        np.testing.assert_allclose(sound(out, "teacher", name), pcm(u), atol=1e-4)  # 16 bits on disk
        codes = torch.from_numpy(random_books().encode(u, voice).astype(np.int64).T)
        assert codes.shape == (BOOKS, u.frames)
        expected = vocoder(codes[None])[0].numpy()
        np.testing.assert_allclose(sound(out, "codes", name), expected, atol=2e-3)  # weights of 16 bits on disk
        again = codec.decode(codec.encode(pcm(u)[None]))[0].numpy()
        np.testing.assert_allclose(sound(out, "heard", name), again, atol=1e-4)
        assert len(again) == len(expected) == u.frames * FRAME
        assert np.abs(again - expected).max() > 5e-3, "what is heard is not what the codes say, before any training"


class Forgetful(ToneTeacher):
    """Has no sound for x."""

    def say(self, phones: Sequence[Phone]) -> tuple[np.ndarray, list[float]]:
        if any(phone.name == "x" for phone in phones):
            raise KeyError("x")
        return super().say(phones)


def test_any_text_is_read_by_the_voices_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is written here, as it is spoken there; each is read by itself, so one that cannot be read shifts none."""
    monkeypatch.setattr(reading, "phones_of", lambda text: [group(text)])
    texts = ["am", "On", "ax", "en"]
    spoken = list(readings_of(texts, dict.fromkeys(VOICES, Forgetful)))
    assert [(voice, u.text) for voice, u in spoken] == [("S1", "am"), ("S2", "On"), ("S2", "en")]
    for _, u in spoken:
        direct = reading.read(ToneTeacher(), u.text.lower())
        assert u.phones == direct.phones
        assert u.frames * FRAME == len(u.audio) == len(direct.audio)
