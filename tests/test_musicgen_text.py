"""The text encoder against transformers' T5 and audiocraft's conditioner, on tiny random weights."""

import threading
from typing import Any

import pytest
import torch
from audiocraft_fixtures import audiocraft
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from models.decoding.state_dict import StateDict
from models.errors import InvalidRequest, WeightsError
from models.musicgen import text as text_module
from models.musicgen.random_tokenizer import VOCABULARY, tokenizer_json
from models.musicgen.text import TextEncoder

CONFIG: dict[str, Any] = {
    "model_type": "t5",
    "d_model": 24,
    "d_kv": 6,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 4,
    "vocab_size": VOCABULARY,
    "feed_forward_proj": "relu",
}
TEXTS = ["lo-fi beat", "x", "rain on a tin roof, distant thunder; 太鼓"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def peer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = T5EncoderModel(T5Config(**CONFIG)).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return model


def tensors(peer: T5EncoderModel) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in peer.state_dict().items() if name != "encoder.embed_tokens.weight"}


@pytest.fixture
def encoder(folder, peer):
    with StateDict(tensors(peer), "text") as source:
        return TextEncoder.load(source, CONFIG, folder)


@pytest.fixture(scope="module")
def tokenizer(folder):
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>", eos_token="</s>")


@pytest.mark.parametrize("text", TEXTS)
def test_states_are_transformers_own(text, encoder, peer, tokenizer):
    with torch.inference_mode():
        theirs = peer(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    ours = encoder.encode(text)
    assert ours.dtype == torch.float32
    assert ours.shape == (len(encoder.tokens(text)), 24)
    assert torch.equal(ours, theirs)


def test_states_are_audiocrafts_own_with_nothing_for_an_empty_text(encoder, peer, tokenizer, monkeypatch):
    """Its conditioner reads a batch of padded texts, ours one text at a time."""
    conditioners = audiocraft("modules.conditioners")
    monkeypatch.setattr(conditioners.T5Tokenizer, "from_pretrained", lambda name: tokenizer)
    monkeypatch.setattr(conditioners.T5EncoderModel, "from_pretrained", lambda name: peer)
    monkeypatch.setitem(conditioners.T5Conditioner.MODELS_DIMS, "t5-small", 24)
    theirs = conditioners.T5Conditioner("t5-small", 10, finetune=False, device="cpu")
    with torch.no_grad():
        states, mask = theirs(theirs.tokenize([*TEXTS, "", None]))
        projected = [theirs.output_proj(encoder.encode(text)) * bool(text) for text in (*TEXTS, "", "")]
    for text, ours, row, seen in zip([*TEXTS, "", ""], projected, states, mask, strict=True):
        torch.testing.assert_close(ours, row[: len(ours)])
        assert seen.sum() == (len(ours) if text else 0)
        assert not row[len(ours) :].any()


def test_an_empty_text_is_one_row_of_zeros(encoder):
    assert torch.equal(encoder.encode(""), torch.zeros(1, 24))


def test_white_space_is_a_text(encoder):
    assert encoder.encode(" ").any()


def test_a_text_that_was_read_lately_is_not_read_again(encoder, monkeypatch):
    first = encoder.encode("a")
    monkeypatch.setattr(encoder, "_encoder", None)
    assert encoder.encode("a") is first


def test_only_the_texts_used_last_are_remembered(encoder, monkeypatch):
    monkeypatch.setattr(text_module, "CACHED_TEXTS", 2)
    first, second = encoder.encode("a"), encoder.encode("b")
    assert encoder.encode("a") is first  # now "b" is the oldest
    encoder.encode("c")
    assert encoder.encode("a") is first
    assert encoder.encode("b") is not second


def test_threads_share_one_encoder(encoder):
    wanted = {text: encoder._compute(text) for text in map(str, range(8))}
    wrong: list[str] = []

    def read() -> None:
        wrong.extend(text for text, states in wanted.items() if not torch.equal(encoder.encode(text), states))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_text_that_is_too_long_is_refused_with_its_length(encoder):
    assert len(encoder.encode("a" * 511)) == 512
    with pytest.raises(InvalidRequest, match="has 513 tokens; the text encoder reads at most 512") as caught:
        encoder.encode("a" * 512)
    assert caught.value.field == "prompt"


def test_an_encoder_of_another_kind_is_refused(folder, peer):
    with pytest.raises(WeightsError, match="model_type 'bert'; only 't5' is supported"):
        TextEncoder.load(StateDict(tensors(peer), "text"), CONFIG | {"model_type": "bert"}, folder)


def test_tensors_of_another_size_are_refused(folder, peer):
    with pytest.raises(WeightsError, match=r"shared\.weight is"):
        TextEncoder.load(StateDict(tensors(peer), "text"), CONFIG | {"d_model": 32}, folder)


@pytest.mark.parametrize("content", [None, "{", '{"version": "1.0"}'])
def test_a_tokenizer_that_is_missing_or_spoiled_is_named(content, tmp_path, peer):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(WeightsError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        TextEncoder.load(StateDict(tensors(peer), "text"), CONFIG, tmp_path)
