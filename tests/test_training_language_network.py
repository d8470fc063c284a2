"""The network in training form says what the same weights say at inference, row by row."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from training_language_fixtures import BORROWED, PHONES, RECIPE, SILENCE, SIZE, utterance

from conftest import plain
from models.decoding.cache import KeyValuePool
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from training.language.batches import Batch, Specials, collate
from training.language.corruption import corrupt
from training.language.losses import hidden_of, losses_of
from training.language.network import EXTRA, DiaTraining
from training.language.recipe import Corruption, hub_config
from training.language.utterances import Placed, borrow, join

SPECIALS = Specials(SIZE.codes, SIZE.codes + 1, SIZE.codes + 2)


@pytest.fixture(scope="module")
def network() -> DiaTraining:
    return DiaTraining.seeded(RECIPE.config(), SIZE.codebooks, PHONES, torch.float32, seed=3)


@pytest.fixture(scope="module")
def inference(network: DiaTraining, tmp_path_factory: pytest.TempPathFactory) -> DiaNetwork:
    """The same weights through a folder in the hub's format."""
    folder: Path = tmp_path_factory.mktemp("export")
    (folder / "config.json").write_text(json.dumps(hub_config(SIZE)))
    kept = {name: p.detach() for name, p in network.named_parameters() if not name.startswith(EXTRA)}
    save_file(kept, folder / "model.safetensors")
    return DiaNetwork.load(folder, dtype=torch.float32, device=torch.device("cpu"), packs=Packs.alike(plain))


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Two texts of different length, so that one is padded."""
    long = join([Placed(utterance(0, "abc de.")), Placed(utterance(1, "cab."), gap=3)], SILENCE)
    return collate([long, join([Placed(utterance(1, "bad."))], SILENCE)], SPECIALS)


def trained_logits(network: DiaTraining, batch: Batch) -> Tensor:
    with torch.no_grad():
        rows = hidden_of(network, batch, RECIPE.weights).rows
        return torch.einsum("btd,kvd->btkv", rows, network.head())


def stepped_logits(network: DiaNetwork, text: list[int], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [N, K] in nine codebooks, one step each → conditional and unconditional logits [N, K, V]."""
    with torch.inference_mode():
        pool = KeyValuePool(network.cache_shape, slots=1, device=network.device)
        pool.text[0] = network.read_text(text)
        both = [network.step(row[None], pool, [0], [i]) for i, row in enumerate(rows)]
    cond, uncond = (torch.cat(x) for x in zip(*both, strict=True))
    return cond, uncond


def nine(codes: Tensor) -> Tensor:
    """Whatever the idle codebooks hold must not matter."""
    idle = torch.randint(0, SIZE.codes, (len(codes), 9 - SIZE.codebooks), generator=torch.Generator().manual_seed(0))
    return torch.cat([codes, idle], dim=1)


@pytest.mark.parametrize("example", [0, 1])
def test_logits_equal_those_of_inference(
    network: DiaTraining, inference: DiaNetwork, batch: Batch, example: int
) -> None:
    text = batch.ids[example][batch.mask[example]].tolist()
    cond, _ = stepped_logits(inference, text, nine(batch.codes[example]))
    torch.testing.assert_close(trained_logits(network, batch)[example], cond[:, : SIZE.codebooks], atol=1e-4, rtol=1e-4)


def test_a_dropped_text_is_the_unconditional_branch_of_inference(
    network: DiaTraining, inference: DiaNetwork, batch: Batch
) -> None:
    none = Corruption(drop_text=1.0, severity=0.0)
    dropped = corrupt(batch, none, SPECIALS, np.random.default_rng(0))
    assert dropped.ids[0].any(), "one of a batch keeps its text"
    assert not dropped.ids[1].any()
    _, uncond = stepped_logits(inference, [1, 32, 98], nine(batch.codes[1]))
    torch.testing.assert_close(trained_logits(network, dropped)[1], uncond[:, : SIZE.codebooks], atol=1e-4, rtol=1e-4)


def test_idle_codebooks_have_logits_of_zero(inference: DiaNetwork, batch: Batch) -> None:
    cond, uncond = stepped_logits(inference, [1, 32, 98], nine(batch.codes[1])[:3])
    assert not cond[:, SIZE.codebooks :].any()
    assert not uncond[:, SIZE.codebooks :].any()


def test_a_batch_without_anything_known_of_a_codebook_does_no_harm(network: DiaTraining) -> None:
    (lent,) = borrow([utterance(0, "abc de.")], 1, BORROWED[1])
    losses = losses_of(network, collate([join([Placed(lent)], SILENCE)], SPECIALS), RECIPE.weights)
    losses.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert [float(loss) for loss in losses.codes[1:]] == [0.0] * (SIZE.codebooks - 1)
    network.zero_grad(set_to_none=True)


def test_units_that_begin_a_voice_count_once_more_unless_nothing_tells_them(network: DiaTraining, batch: Batch) -> None:
    def first(of: Batch) -> float:
        return float(losses_of(network, of, RECIPE.weights).first)

    second = utterance(0, "abc de.").frames + 3  # where the second turn of the first example begins
    rows = [(0, 0), (0, second), (1, 0)]
    likely = trained_logits(network, batch)[..., 0, :].log_softmax(-1)
    wanted = [-float(likely[b, t, batch.targets[b, t, 0]]) for b, t in rows]
    assert first(batch) == pytest.approx(np.mean(wanted), rel=1e-4)
    dropped = corrupt(batch, Corruption(drop_text=1.0, severity=0.0), SPECIALS, np.random.default_rng(0))
    assert first(dropped) == pytest.approx(np.mean(wanted[:2]), rel=1e-4), "the text of the second is hidden"
