"""An LSTM over a stream: what it remembers is carried from piece to piece. Knows no codec."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.codecs.stream_layers import Tape


class Lstm:
    """x + LSTM(x), several layers: [B, L, D] → [B, L, D]. Knows no right context, so each row is exact at once."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """Four a layer, as torch.nn.LSTM has them: weights [4·D, D] of input and state, biases [4·D] of both."""
        self.parameters = list(parameters)
        self.layers = len(parameters) // 4

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        B, L, D = x.shape
        kept = tape.recall()  # [B, 2·layers, D]: states and cells of all layers
        state = x.new_zeros(2 * self.layers, B, D) if kept is None else kept.transpose(0, 1).contiguous()
        if not L:
            tape.keep(state.transpose(0, 1))
            return x
        past = (state[: self.layers], state[self.layers :])
        y, h, c = torch.lstm(x, past, self.parameters, True, self.layers, 0.0, False, False, True)
        tape.keep(torch.cat([h, c]).transpose(0, 1))
        return y + x
