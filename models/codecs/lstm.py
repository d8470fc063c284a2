"""An LSTM over a stream: what it remembers is carried from piece to piece. Knows no codec."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.codecs.stream_layers import Tape

FEW_ROWS = 2  # of a batch; on a CPU torch.nn.LSTM takes 1.2 times as long as `_few` for one, twice as long for two


class Lstm:
    """x + LSTM(x), several layers: [B, L, D] → [B, L, D]. It has no right context, so each row is exact at once."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """Four a layer, as torch.nn.LSTM has them: weights [4·D, D] of input and state, biases [4·D] of both."""
        weight, D = parameters[0], parameters[0].shape[1]
        self.layers = len(parameters) // 4
        # Torch's module, because it keeps them in one block of memory where cuDNN wants that.
        module = nn.LSTM(D, D, self.layers, batch_first=True, device="meta", dtype=weight.dtype)
        self._module = module.to_empty(device=weight.device).requires_grad_(False)
        for own, given in zip(self._module.parameters(), parameters, strict=True):
            own.copy_(given)

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        B, L, D = x.shape
        kept = tape.recall()  # [B, 2·layers, D]: the states of all layers, then their cells
        past = x.new_zeros(2 * self.layers, B, D) if kept is None else kept.transpose(0, 1).contiguous()
        if not L:
            tape.keep(past.transpose(0, 1))
            return x
        run = self._few if B <= FEW_ROWS and x.is_cpu else self._many
        y, future = run(x, past)
        tape.keep(future.transpose(0, 1))
        return y + x

    def _many(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(LSTM(x), states and cells behind it [2·layers, B, D])."""
        y, future = self._module(x, (past[: self.layers], past[self.layers :]))
        return y, torch.cat(future)

    def _few(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """`_many` where reading the weights is what takes the time."""
        h, c = list(past[: self.layers]), list(past[self.layers :])
        for i, weights in enumerate(self._module.all_weights):
            x, h[i], c[i] = _layer(x, h[i], c[i], *weights)
        return x, torch.stack([*h, *c])


def _layer(
    x: Tensor, h: Tensor, c: Tensor, weight_x: Tensor, weight_h: Tensor, bias_x: Tensor, bias_h: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer from state h and cell c [B, D]: ([B, L, D], h, c). Equations: arXiv:1402.1128, as torch.nn.LSTM."""
    given = F.linear(x, weight_x, bias_x + bias_h).unbind(1)  # L times [B, 4·D]
    states = []
    for gates in given:
        i, f, g, o = torch.addmm(gates, h, weight_h.T).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states, dim=1), h, c
