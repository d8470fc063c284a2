"""Whole pieces against audiocraft's own MusicGen: the same files, texts, recordings and seeds give the same codes.

Everything is theirs: language model, T5 conditioner, chroma conditioner, EnCodec, windows. Only Demucs is left out.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from audiocraft_fixtures import audiocraft, old_weight_norm
from musicgen_chroma_fixtures import RATE, chroma_conditioner, tune
from musicgen_files_fixtures import KINDS, TEXT_WIDTH, WIDTH, write_audiocraft
from musicgen_pipeline_fixtures import HOP, RUNTIME, SAMPLING, ask, audio_of, codes_of
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from models.codecs.encodec import EncodecCodec
from models.decoding.cache import KeyValuePool
from models.engine import Engine
from models.musicgen.checkpoint import open_checkpoint
from models.musicgen.layers import Packs
from models.musicgen.network import MusicgenNetwork
from models.musicgen.pipeline import MusicgenPipeline
from models.musicgen.text import TextEncoder
from models.request import AudioChunk
from models.weights import CheckpointPaths

WINDOW_SECONDS, STRIDE_SECONDS, CHROMA_FRAMES = 1.0, 0.6, 8
FRAMES = (25, 50, 87, 125)  # half a window, one, two, and nearly four
PREFIX_SECONDS, MELODY_SECONDS = 0.4, 0.7
TEXT = "a slow waltz for two violins"
# top_k is below the 64 codes of the tiny codec.
TOP_K = dataclasses.replace(SAMPLING, cfg_filter_top_k=25)

pytestmark = old_weight_norm


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One checkpoint, loaded by audiocraft's classes and by ours."""

    theirs: Any
    ours: MusicgenPipeline

    def their_codes(self, frames: int, sampling: Any, text: str, prefix: Any, melody: Any) -> torch.Tensor:
        """What its users get by generate, generate_continuation and generate_with_chroma; both together they do not.
        → [K, T]"""
        made = self.theirs
        made.set_generation_params(
            duration=frames / 50,
            extend_stride=STRIDE_SECONDS,
            top_k=sampling.cfg_filter_top_k,
            top_p=sampling.top_p,
            temperature=sampling.temperature,
            cfg_coef=sampling.cfg_scale,
        )
        prompt = None if prefix is None else torch.from_numpy(prefix)[None]
        melodies = None if melody is None else [torch.from_numpy(melody)]
        attributes, tokens = made._prepare_tokens_and_attributes([text], prompt, melodies)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sampling.seed)
            return made._generate_tokens(attributes, tokens)[0]

    def our_chunks(self, frames: int, sampling: Any, text: str, **options: Any) -> list[AudioChunk]:
        with Engine(self.ours) as engine:
            request = ask(text, frames=frames, model=self.ours.name, sampling_params=sampling, **options)
            return list(engine.stream(request))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    made = {}
    for kind in KINDS:
        network, codec, paths = write_audiocraft(tmp_path_factory.mktemp(kind), kind)
        made[kind] = Pair(musicgen(network, codec, kind, paths.text), load(paths))
    return made


def musicgen(network: Any, codec: Any, kind: str, text: Path) -> Any:
    """audiocraft's MusicGen of these parts, with windows of WINDOW_SECONDS."""
    genmodel, kinds, encodec = (audiocraft(f"models.{name}") for name in ("genmodel", "musicgen", "encodec"))
    conditioners = network.condition_provider.conditioners
    conditioners["description"] = t5_conditioner(conditioners["description"].output_proj, text)
    if kind == "melody":
        chroma = chroma_conditioner(CHROMA_FRAMES, WIDTH)
        chroma.output_proj = conditioners["self_wav"].output_proj
        conditioners["self_wav"] = chroma
    if kind == "stereo":
        codec = encodec.InterleaveStereoCompressionModel(codec)
    made = kinds.MusicGen.__new__(kinds.MusicGen)  # its __init__ asserts that a window is longer than 18 s
    genmodel.BaseGenModel.__init__(made, kind, codec, network, WINDOW_SECONDS)
    return made


def t5_conditioner(projection: torch.nn.Linear, text: Path) -> Any:
    """audiocraft's T5Conditioner, with the T5 of a folder."""
    conditioners = audiocraft("modules.conditioners")
    one = conditioners.T5Conditioner.__new__(conditioners.T5Conditioner)
    conditioners.BaseConditioner.__init__(one, TEXT_WIDTH, projection.out_features)
    one.output_proj = projection
    one.device, one.normalize_text, one.word_dropout, one.finetune = "cpu", False, 0.0, False
    one.autocast = audiocraft("utils.autocast").TorchAutocast(enabled=False)
    one.t5_tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(text / "tokenizer.json"), pad_token="<pad>")
    one.__dict__["t5"] = T5EncoderModel.from_pretrained(text).eval()
    return one


def load(paths: CheckpointPaths) -> MusicgenPipeline:
    """As MusicgenPipeline.load, with windows of WINDOW_SECONDS: audiocraft's files say 30 s, and its code 18 s."""
    device, dtype = RUNTIME.device, RUNTIME.dtype
    with open_checkpoint(paths, dtype, device) as files:
        sizes = {"max_duration_seconds": WINDOW_SECONDS, "stride_seconds": STRIDE_SECONDS}
        config = dataclasses.replace(files.config, **sizes, chroma_length=CHROMA_FRAMES if files.config.melody else 0)
        packs = Packs.of(RUNTIME)
        network = MusicgenNetwork.load(files.language_model, config, dtype=dtype, device=device, packs=packs)
        codec = EncodecCodec.load(files.codec, files.codec_config, device)
        text = TextEncoder.load(files.text, files.text_config, files.text_folder)
    return MusicgenPipeline(network, codec, text, KeyValuePool(network.cache_shape, 2, device))


@pytest.fixture
def files(tmp_path: Path) -> dict[tuple[str, int], Path]:
    """Recordings of one and two channels, to go on from and to follow."""
    made = {}
    for name, seconds in (("prefix", PREFIX_SECONDS), ("melody", MELODY_SECONDS)):
        for channels in (1, 2):
            made[name, channels] = tmp_path / f"{name}{channels}.wav"
            soundfile.write(made[name, channels], tune(seconds, channels).T, RATE, subtype="FLOAT")
    return made


CASES = [
    (kind, frames, prefix, melody)
    for kind in KINDS
    for frames in FRAMES
    for prefix in (False, True)
    for melody in ((False, True) if kind == "melody" else (False,))
    if kind == "melody" or frames != 25
]


@pytest.mark.parametrize(("kind", "frames", "prefix", "melody"), CASES)
def test_codes_and_audio_are_audiocrafts(
    pairs: dict[str, Pair], files: dict[tuple[str, int], Path], kind: str, frames: int, prefix: bool, melody: bool
) -> None:
    pair, channels = pairs[kind], 2 if kind == "stereo" else 1
    begin = tune(PREFIX_SECONDS, channels) if prefix else None
    follow = tune(MELODY_SECONDS, channels) if melody else None
    theirs = pair.their_codes(frames, TOP_K, TEXT, begin, follow)
    options: dict[str, Any] = {}
    if prefix:
        options = {"audio_prompt": files["prefix", channels], "continuation": True}
        options |= {"melody_audio": files["melody", channels]} if melody else {}
    elif melody:
        options = {"audio_prompt": files["melody", channels]}
    chunks = pair.our_chunks(frames, TOP_K, TEXT, **options)
    np.testing.assert_array_equal(codes_of(chunks), theirs.numpy())
    audio = pair.theirs.generate_audio(theirs[None])[0].detach().numpy()
    assert audio.shape == (channels, frames * HOP)
    np.testing.assert_allclose(audio_of(chunks), audio, atol=1e-5 * max(1.0, float(np.abs(audio).max())))


@pytest.mark.parametrize(
    ("sampling", "text"),
    [
        (dataclasses.replace(TOP_K, temperature=0.0), TEXT),
        (dataclasses.replace(TOP_K, top_p=0.8), TEXT),
        (dataclasses.replace(TOP_K, cfg_filter_top_k=0, cfg_scale=1.0), TEXT),
        (TOP_K, ""),
    ],
    ids=["greedy", "top_p", "all", "no text"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_sample_is_audiocrafts(pairs: dict[str, Pair], kind: str, sampling: Any, text: str) -> None:
    theirs = pairs[kind].their_codes(87, sampling, text, None, None)
    np.testing.assert_array_equal(codes_of(pairs[kind].our_chunks(87, sampling, text)), theirs.numpy())
