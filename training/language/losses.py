"""What the network is trained to do: the next codes, and aids that teach it to read. Knows no optimiser.

The aids: attention heads that stay near the letter being spoken; the phone of each frame, read off the middle of the
decoder; the phone of each letter, read off the encoder; the place in the text of both. Without the last the encoder
says nothing of places, since it rotates queries and keys by their distance only: the decoder then goes by the letters
around, and where these come twice it may jump. The first unit of a turn, which alone tells whose voice begins, counts
once more: every later one can be told by the one before, so among hundreds of rows nothing else asks for the tag.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.language.batches import IGNORE, Batch
from training.language.network import PLACE_PERIODS, DiaTraining, Hidden
from training.language.recipe import Weights

ROWS_AT_ONCE = 256  # of logits in float32: they stay in the cache
LEAST_MASS = 1e-6  # of attention, before the logarithm


@dataclass(frozen=True)
class Losses:
    """Means over what each is defined on. Tensors of no dimension, detached but for the total."""

    total: Tensor
    codes: tuple[Tensor, ...]  # nats, one a codebook
    guide: Tensor
    phone: Tensor
    letter: Tensor
    place: Tensor  # squared error of a sine
    first: Tensor  # nats, of codebook 0 where a voice begins
    correct: Tensor  # share of codebook 0 where the target is the likeliest
    mass: Tensor  # attention of the guided heads within reach

    def numbers(self) -> dict[str, float]:
        named = {f"code{k}": value for k, value in enumerate(self.codes)}
        named |= {"guide": self.guide, "phone": self.phone, "letter": self.letter}
        named |= {"place": self.place, "first": self.first}
        named |= {"correct": self.correct, "mass": self.mass}
        return {name: float(value.detach()) for name, value in named.items()}


def losses_of(network: DiaTraining, batch: Batch, weights: Weights) -> Losses:
    hidden = hidden_of(network, batch, weights)
    codes, correct = _code_losses(network, hidden.rows, batch.targets)
    guide, mass = _guide(hidden, batch.guided)
    phone = class_loss(network.extra.phone, hidden.middle.to(network.dtype), batch.phones)
    letter = class_loss(network.extra.letter, hidden.text.to(network.dtype), batch.letters)
    total = torch.stack([w * loss for w, loss in zip(weights.codebooks[: len(codes)], codes, strict=True)]).sum()
    place = _letter_place(network, hidden.text, batch.ids) + _row_place(network, hidden.middle, batch)
    first = _first_units(network, hidden.rows, batch)
    total = total + weights.guide * guide + weights.phone * phone + weights.letter * letter + weights.place * place
    total = total + weights.first * first
    aids = guide.detach(), phone.detach(), letter.detach(), place.detach(), first.detach()
    return Losses(total, tuple(c.detach() for c in codes), *aids, correct, mass.detach())


def practice_loss(network: DiaTraining, weights: Weights, ids: Tensor, letters: Tensor) -> tuple[Tensor, Tensor]:
    """Of the text encoder alone, on texts that nobody has spoken, both [B, S]: to minimise, and the phones' part."""
    text = network.model.encoder(ids, ids != 0)
    phone = class_loss(network.extra.letter, text.to(network.dtype), letters)
    return weights.practice * phone + weights.place * _letter_place(network, text, ids), phone.detach()


def hidden_of(network: DiaTraining, batch: Batch, weights: Weights) -> Hidden:
    """The network's forward pass over a batch."""
    S = batch.ids.shape[1]
    near = (torch.arange(S) - batch.char[..., None]).abs() <= weights.guide_width  # [B, T, S]
    out: Hidden = network(
        batch.ids, batch.mask, batch.codes, near, weights.guide_layers, weights.guide_heads, weights.phone_layer
    )
    return out


def class_loss(head: nn.Linear, x: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of an extra head: x [B, N, D], targets [B, N], IGNORE where there is none."""
    known = targets != IGNORE
    logits = F.linear(x[known], head.weight.to(x.dtype)).float() + head.bias
    return F.cross_entropy(logits, targets[known], reduction="sum") / max(1, len(logits))


def _first_units(network: DiaTraining, rows: Tensor, batch: Batch) -> Tensor:
    """rows [B, T, D] → mean cross-entropy of the units that begin a voice, where there is a text to tell it."""
    targets = batch.targets[..., 0]
    told = batch.begins & (batch.mask.sum(1, keepdim=True) > 1) & (targets != IGNORE)
    loss: Tensor = _LinearCrossEntropy.apply(rows[told].to(network.dtype), network.head()[0], targets[told])[0]
    return loss


def _letter_place(network: DiaTraining, text: Tensor, ids: Tensor) -> Tensor:
    """text [B, S, D] of ids [B, S], 0 where there is none."""
    places = torch.arange(ids.shape[1]).expand(ids.shape)
    return _place_loss(network.extra.letter_place, text[ids != 0], places[ids != 0])


def _row_place(network: DiaTraining, middle: Tensor, batch: Batch) -> Tensor:
    return _place_loss(network.extra.row_place, middle[batch.guided], batch.char[batch.guided])


def _place_loss(head: nn.Linear, x: Tensor, places: Tensor) -> Tensor:
    """x [N, D] and where in the text [N] → mean squared error of the sines and cosines read off x."""
    if not len(x):
        return torch.zeros(())
    angles = places[:, None] * (2 * math.pi / torch.tensor(PLACE_PERIODS))
    wanted = torch.cat([angles.sin(), angles.cos()], dim=1)
    return F.mse_loss(head(F.rms_norm(x, x.shape[-1:])), wanted)


def _code_losses(network: DiaTraining, rows: Tensor, targets: Tensor) -> tuple[list[Tensor], Tensor]:
    """rows [B, T, D], targets [B, T, K] → mean loss a codebook, and the share that codebook 0 has right."""
    losses, correct = [], torch.zeros(())
    for k, head in enumerate(network.head()):
        known = targets[..., k] != IGNORE
        loss, right = _LinearCrossEntropy.apply(rows[known].to(network.dtype), head, targets[..., k][known])
        losses.append(loss)
        correct = right if k == 0 else correct
    return losses, correct


def _guide(hidden: Hidden, guided: Tensor) -> tuple[Tensor, Tensor]:
    """-log of the attention within reach and that attention, means over guided rows [B, T], heads and layers."""
    mass = torch.stack(hidden.attended).movedim(2, 1)[:, :, guided]  # [layers, heads, rows]
    if not mass.numel():
        return torch.zeros(()), torch.zeros(())
    return -(mass + LEAST_MASS).log().mean(), mass.mean()


class _LinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of x [N, D] times weight [V, D], and the share that is right, without keeping logits.

    The gradients are made in the forward pass, while the logits of a few rows are at hand.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        cast = weight.to(x.dtype)
        slope = x.new_empty(len(x), len(weight))
        loss, right = torch.zeros(()), torch.zeros(())
        for start in range(0, len(x), ROWS_AT_ONCE):
            part, wanted = slice(start, start + ROWS_AT_ONCE), targets[start : start + ROWS_AT_ONCE, None]
            logits = (x[part] @ cast.T).float()
            right += (logits.argmax(-1, keepdim=True) == wanted).sum()
            logits = logits.log_softmax(-1)
            loss -= logits.gather(1, wanted).sum()
            slope[part] = logits.exp_().scatter_add_(1, wanted, logits.new_full(wanted.shape, -1.0))
        ctx.save_for_backward(x, cast, slope)
        ctx.count = max(1, len(x))  # a batch of lent readings has nothing to say about a codebook
        ctx.mark_non_differentiable(right)
        return loss / ctx.count, right.div_(ctx.count)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None]:
        x, cast, slope = ctx.saved_tensors
        scale = grad / ctx.count
        return (slope @ cast).float().mul_(scale).to(x.dtype), (slope.T @ x).float().mul_(scale), None
