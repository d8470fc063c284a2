"""What the export writes is the codec that was trained, to the product's own reader and to transformers."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from training_fixtures import random_books, small_codec, utterance
from training_language_fixtures import RECIPE, SIZE, utterances, write_run
from transformers import DacModel

from models.codecs.dac import DacCodec
from models.decoding.runtime import Runtime
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from training.codec.codebooks import BOOK_SIZE, BOOKS, pcm
from training.codec.encoder import Listener
from training.codec.vocoder import Vocoder
from training.export import export, write_codec, write_model
from training.frames import ALL_BOOKS
from training.language.train import train
from training.published import LOGITS

__all__ = ["small_codec"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Vocoder, Listener]:
    """A codec on disk, and the parts it was written from, rounded to float16 as it was."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr("training.codec.vocoder.HIDDEN", 32)
        patch.setattr("training.codec.vocoder.LATENT", 32)
        torch.manual_seed(0)
        vocoder = Vocoder(random_books())
        listener = Listener(vocoder)
        with torch.no_grad():
            for parameter in (*vocoder.parameters(), *listener.parameters()):
                parameter.copy_(parameter.half().float())
            for name, parameter in listener.in_proj.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()  # else it points to the same rows whatever is heard
    write_codec(folder, vocoder, *listener.tensors())
    return folder / "codec", vocoder.eval(), listener.eval()


def some_codes(frames: int = 30) -> Tensor:
    """[ALL_BOOKS, frames]; the books that are not used hold anything."""
    return torch.randint(BOOK_SIZE, (ALL_BOOKS, frames), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def codec(trained: tuple[Path, Vocoder, Listener]) -> DacCodec:
    return DacCodec.load(trained[0], device="cpu")


def some_audio() -> Tensor:
    """[1, L], whole frames."""
    return torch.from_numpy(pcm(utterance(0)))[None]


@torch.no_grad()
def test_codes_sound_as_they_did_in_training(trained: tuple[Path, Vocoder, Listener], codec: DacCodec) -> None:
    codes = some_codes()
    expected = trained[1](codes[None, :BOOKS])
    assert codec.decode(codes).shape == expected.shape
    assert (codec.decode(codes) - expected).abs().max() < 1e-4 * expected.abs().max()


@torch.no_grad()
def test_transformers_reads_the_same_folder(trained: tuple[Path, Vocoder, Listener], codec: DacCodec) -> None:
    theirs = DacModel.from_pretrained(trained[0], dtype=torch.float32).eval()
    codes = some_codes()
    ours = codec.decode(codes)
    assert (theirs.decode(audio_codes=codes[None]).audio_values.flatten() - ours.flatten()).abs().max() < 1e-4
    heard = theirs.encode(some_audio()[None]).audio_codes[0]
    assert (heard == codec.encode(some_audio())).float().mean() > 0.99


@torch.no_grad()
def heard_by(listener: Listener, vocoder: Vocoder, audio: Tensor) -> Tensor:
    """[BOOKS, frames]: the nearest direction in each book, taking away what was found, not what is right."""
    rest = listener.encoder(audio[:, None]).transpose(1, 2)
    found = []
    for book in range(BOOKS):
        pointed = functional.normalize(listener.in_proj[book](rest), dim=-1)
        found.append((pointed @ functional.normalize(vocoder.tables[book], dim=-1).T).argmax(-1))
        rest = rest - list(vocoder.projections)[book](vocoder.tables[book][found[-1]])
    return torch.stack(found)[:, 0]


@torch.no_grad()
def test_audio_is_heard_as_it_was_in_training(trained: tuple[Path, Vocoder, Listener], codec: DacCodec) -> None:
    _, vocoder, listener = trained
    expected = heard_by(listener, vocoder, some_audio())
    found = codec.encode(some_audio())
    assert found.shape == (ALL_BOOKS, expected.shape[1])
    assert (found[:BOOKS] == expected).float().mean() > 0.99
    assert len(found[:BOOKS].unique()) > 10, "the audio must be told apart for this to say anything"
    assert not found[BOOKS:].any(), "a book that is not used is heard as 0"
    forced = [logits.argmax(-1)[0] for logits in listener(some_audio(), expected[None]).logits]
    assert (torch.stack(forced) == expected).float().mean() > 0.99


def test_the_config_names_the_shape(trained: tuple[Path, Vocoder, Listener], codec: DacCodec) -> None:
    config = json.loads((trained[0] / "config.json").read_text())
    assert (config["model_type"], config["torch_dtype"]) == ("dac", "float16")
    assert (codec.sample_rate, codec.hop_length, codec.codebooks, codec.codebook_size) == (44100, 512, 9, 512)
    tensors = load_file(trained[0] / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert not any(
        tensors[f"quantizer.quantizers.{BOOKS}.{part}"].any() for part in ("codebook.weight", "out_proj.bias")
    )


def test_logits_of_each_trained_book_are_scaled_and_nothing_else(tmp_path: Path) -> None:
    rows = torch.ones(ALL_BOOKS * 4, 3)
    state = {LOGITS: rows, "other.weight": torch.full((2,), 0.5)}
    write_model(tmp_path, {"model_type": "dia"}, state, [2.0, 0.5])
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    scaled = tensors[LOGITS].float().unflatten(0, (ALL_BOOKS, 4))
    assert [book.unique().tolist() for book in scaled] == [[2.0], [0.5], *[[1.0]] * 7]
    assert tensors["other.weight"].tolist() == [0.5, 0.5]
    assert (rows == 1).all(), "what was given is left as it was"
    assert json.loads((tmp_path / "model" / "config.json").read_text())["model_type"] == "dia"


def test_a_tensor_too_large_for_float16_is_named_and_nothing_written(tmp_path: Path) -> None:
    state = {LOGITS: torch.ones(ALL_BOOKS, 2), "other.weight": torch.tensor([1e6])}
    with pytest.raises(ValueError, match=r"other\.weight"):
        write_model(tmp_path, {}, state, [1.0])
    assert not (tmp_path / "model" / "model.safetensors").exists()


@pytest.mark.usefixtures("small_codec")
def test_a_run_is_exported_to_what_the_product_loads(tmp_path: Path) -> None:
    write_run(tmp_path, utterances(60))
    train(tmp_path, RECIPE, steps=2, threads=1)
    vocoder = Vocoder(random_books())
    for folder, state in (
        ("vocoder", {"average": vocoder.state_dict()}),
        ("encoder", {"listener": Listener(vocoder).state_dict()}),
    ):
        (tmp_path / folder).mkdir()
        torch.save(state, tmp_path / folder / f"{folder}.pt")
    export(tmp_path, tmp_path / "weights", scales=[2.0, 1.0, 1.0])
    runtime = Runtime.from_environ({"PARLEY_DEVICE": "cpu"})
    network = DiaNetwork.load(
        tmp_path / "weights" / "model", dtype=runtime.dtype, device=runtime.device, packs=Packs.of(runtime)
    )
    assert network.config.decoder.width == SIZE.decoder_width, "the size is that of the run"
    assert network.config.decoder.codebooks == len(network.config.delays) == ALL_BOOKS
    codec = DacCodec.load(tmp_path / "weights" / "codec", device="cpu")
    assert codec.decode(some_codes(3)).shape == (1, 3 * codec.hop_length)
    assert codec.encode(some_audio()).shape[0] == ALL_BOOKS
    config = json.loads((tmp_path / "weights" / "model" / "config.json").read_text())
    assert config["parley"] == {"name": "dia-builtin", "plain_text": True, "own_voices": True, "end_mark": True}
