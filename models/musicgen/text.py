"""Text → the states of T5's encoder, which condition the network. Knows no network and no codec.

As audiocraft has it (audiocraft/modules/conditioners.py, T5Conditioner): float32 whatever the network runs in, the text
as it is, and nothing at all in the place of an empty one. T5 was trained on 512 tokens; longer texts are refused.
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import T5Config, T5EncoderModel

from models.decoding.checkpoint import TensorSource
from models.errors import InvalidRequest, WeightsError
from models.musicgen.config import TEXT_POSITIONS

CACHED_TEXTS = 64  # of at most 512 states, 2 MB each for t5-large
FILE = "tokenizer.json"


class TextEncoder:
    """A loaded T5 encoder with its tokenizer; remembers the texts used last. Any number of threads may use it."""

    def __init__(self, tokenizer: Tokenizer, encoder: T5EncoderModel, device: torch.device) -> None:
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._device = device
        self._states: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def load(
        cls, source: TensorSource, config: Mapping[str, Any], folder: Path, *, device: torch.device | str = "cpu"
    ) -> Self:
        """From the tensors of transformers' T5EncoderModel, its config.json's contents and folder/tokenizer.json.

        Raises WeightsError.
        """
        device = torch.device(device)
        return cls(_read_tokenizer(folder / FILE), _build(source, config, device), device)

    @property
    def width(self) -> int:
        """Of the states."""
        return int(self._encoder.config.d_model)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text, the end's included. Raises InvalidRequest for a text of more than TEXT_POSITIONS."""
        ids: list[int] = self._tokenizer.encode(text).ids
        if len(ids) > TEXT_POSITIONS:
            raise InvalidRequest(
                "prompt",
                f"has {len(ids)} tokens; the text encoder reads at most {TEXT_POSITIONS}. Describe the sound in fewer "
                "words.",
            )
        return ids

    def encode(self, text: str) -> Tensor:
        """The states of one text: float32 [S, D_text], S ≥ 1 tokens. Of "" they are one row of zeros: no condition.

        Audiocraft sets what is masked to zero after the projection to the network's width, so that not even its bias
        is left of an empty text. The tensor is shared with other requests: do not change it. Raises InvalidRequest.
        """
        with self._lock:
            if (known := self._states.get(text)) is not None:
                self._states.move_to_end(text)
                return known
            states = self._states[text] = self._compute(text)
            if len(self._states) > CACHED_TEXTS:
                self._states.popitem(last=False)
            return states

    def _compute(self, text: str) -> Tensor:
        if text == "":
            return torch.zeros(1, self.width, device=self._device)
        ids = torch.tensor([self.tokens(text)], device=self._device)
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            states: Tensor = self._encoder(input_ids=ids).last_hidden_state[0]
        return states


def _build(source: TensorSource, config: Mapping[str, Any], device: torch.device) -> T5EncoderModel:
    kind = config.get("model_type")
    if kind != "t5":
        raise WeightsError(f"The text encoder's config.json says model_type {kind!r}; only 't5' is supported.")
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        encoder = T5EncoderModel(T5Config.from_dict(dict(config)))
    tied = "encoder.embed_tokens.weight"  # the same table as shared.weight, which files hold once
    state = {
        name: source.take(name, *tensor.shape, dtype=torch.float32).to(device)
        for name, tensor in encoder.state_dict().items()
        if name != tied
    }
    encoder.load_state_dict(state | {tied: state["shared.weight"]}, assign=True)
    return encoder.eval().requires_grad_(False)


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no narrower class
        raise WeightsError(f"{path} cannot be read as a tokenizer ({error}). Fetch it again.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
