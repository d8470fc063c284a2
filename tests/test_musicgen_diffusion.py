"""Multi-band diffusion in the codec's place: the same codes, all at the end, in steps that others may come between."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from musicgen_pipeline_fixtures import HOP, RATE, SAMPLING, ask, audio_of, codes_of, load

from models.codecs.mbd import MultiBandDiffusion
from models.codecs.mbd_random import write_random_diffusion
from models.engine import Engine
from models.errors import Cancelled, InvalidRequest, WeightsError
from models.musicgen.pipeline import DIFFUSION_FILE, MusicgenPipeline
from models.musicgen.random_checkpoint import LATENT_WIDTH, Variant

FRAMES = 60


def with_diffusion(directory: Path, channels: int) -> MusicgenPipeline:
    folder = directory / "diffusion"
    folder.mkdir()
    write_random_diffusion(folder / DIFFUSION_FILE, sample_rate=RATE, latent_width=LATENT_WIDTH)
    variant = Variant(channels=channels, window_seconds=1.0, stride_seconds=0.6)
    return load(directory, "musicgen-random", variant, diffusion_folder=lambda: folder)


@pytest.fixture(scope="module")
def diffusing(tmp_path_factory: pytest.TempPathFactory) -> MusicgenPipeline:
    return with_diffusion(tmp_path_factory.mktemp("mono"), 1)


@pytest.fixture
def diffusing_engine(diffusing: MusicgenPipeline) -> Iterator[Engine]:
    with Engine(diffusing) as running:
        yield running


def decoded(pipeline: MusicgenPipeline, codes: np.ndarray) -> np.ndarray:
    """[K, T] → [C, L], by the diffusion alone."""
    assert isinstance(pipeline._diffusion, MultiBandDiffusion)
    generator = torch.Generator().manual_seed(SAMPLING.seed)
    return pipeline._diffusion.decode(torch.from_numpy(codes.copy()), generator).numpy()


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """The engine's thread and this one may add in another order, by as many threads as each of them has."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_same_codes_become_audio_by_diffusion(diffusing: MusicgenPipeline, diffusing_engine: Engine) -> None:
    plain = list(diffusing_engine.stream(ask(frames=FRAMES)))
    chunks = list(diffusing_engine.stream(ask(frames=FRAMES, multi_band_diffusion=True)))
    np.testing.assert_array_equal(codes_of(chunks), codes_of(plain))
    assert_alike(audio_of(chunks), decoded(diffusing, codes_of(chunks)))
    assert (audio_of(chunks) != audio_of(plain)).mean() > 0.9
    assert [c.audio.size > 0 for c in chunks].count(True) == 1  # it hears the whole piece first
    progress = [c.progress for c in chunks]
    assert progress == sorted(progress)
    assert len({p for p in progress if p > 0.5}) > 10  # it is told during the diffusion, too


def test_stereo_is_diffused_as_left_and_right(tmp_path: Path) -> None:
    pipeline = with_diffusion(tmp_path, 2)
    with Engine(pipeline) as engine:
        chunks = list(engine.stream(ask(frames=20, multi_band_diffusion=True)))
    assert audio_of(chunks).shape == (2, 20 * HOP)
    assert_alike(audio_of(chunks), decoded(pipeline, codes_of(chunks)))


def test_the_buffer_is_diffused_but_not_heard_again(diffusing: MusicgenPipeline, diffusing_engine: Engine) -> None:
    buffer = np.arange(40, dtype=np.int64).reshape(10, 4)
    chunks = list(diffusing_engine.stream(ask(frames=20, multi_band_diffusion=True, buffer_speech_tokens=buffer)))
    assert codes_of(chunks).shape == (4, 30)
    assert_alike(audio_of(chunks), decoded(diffusing, codes_of(chunks))[:, 10 * HOP :])


def test_a_cancel_is_heard_between_two_steps_of_diffusion(
    diffusing: MusicgenPipeline, diffusing_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    diffusing.prepare(ask(multi_band_diffusion=True))
    steps: list[int] = []

    def endless(codes: torch.Tensor, generator: torch.Generator) -> Iterator[float]:
        while True:
            steps.append(1)
            yield 0.1

    monkeypatch.setattr(diffusing._diffusion, "decode_steps", endless)
    stream = diffusing_engine.stream(ask(frames=5, multi_band_diffusion=True))
    while not steps:
        next(stream)
    assert diffusing_engine.cancel("a")
    with pytest.raises(Cancelled):
        list(stream)


def test_diffusion_is_loaded_when_it_is_first_asked_for_and_once(tmp_path: Path) -> None:
    asked: list[int] = []
    variant = Variant(window_seconds=1.0, stride_seconds=0.6)
    write_random_diffusion(tmp_path / DIFFUSION_FILE, sample_rate=RATE, latent_width=LATENT_WIDTH)
    pipeline = load(tmp_path, "musicgen-random", variant, diffusion_folder=lambda: (asked.append(1), tmp_path)[1])
    pipeline.prepare(ask())
    assert not asked
    for _ in range(2):
        pipeline.prepare(ask(multi_band_diffusion=True))
    assert len(asked) == 1


def test_weights_of_diffusion_that_cannot_be_had_are_an_answer(tmp_path: Path) -> None:
    def unreachable() -> Path:
        raise WeightsError("The hub cannot be reached.")

    variant = Variant(window_seconds=1.0, stride_seconds=0.6)
    pipeline = load(tmp_path, "musicgen-random", variant, diffusion_folder=unreachable)
    with Engine(pipeline) as engine:
        with pytest.raises(WeightsError, match="cannot be reached"):
            engine.stream(ask(multi_band_diffusion=True))
        assert engine.generate(ask(frames=3)).audio.shape == (1, 3 * HOP)


def test_sounds_have_no_diffusion_even_where_its_weights_are(tmp_path: Path) -> None:
    variant = Variant(False, 1, 16_000, (8, 5, 4, 2), window_seconds=1.0, stride_seconds=0.2)
    pipeline = load(tmp_path, "audiogen-random", variant, diffusion_folder=lambda: tmp_path)
    with pytest.raises(InvalidRequest, match=r"^multi_band_diffusion: .*none for audiogen-random.*32 kHz"):
        pipeline.prepare(ask(model="audiogen-random", multi_band_diffusion=True))
