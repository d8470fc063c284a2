"""Our Dia against transformers' DiaForConditionalGeneration: same tiny random weights, float32."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import DiaForConditionalGeneration

from conftest import plain
from models.decoding.cache import KeyValuePool
from models.decoding.delay import delay_prefix, undelay
from models.decoding.sequence import CodeSequence
from models.dia.generate import DiaDecoder
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.request import SamplingParams

TEXT = list(b"\x01 Hello there, how are you? \x02 Fine (laughs).")
DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)
EOS, PAD, BOS = 1024, 1025, 1026


def random_codes(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 1024, (9, frames), generator=torch.Generator().manual_seed(seed))


def hf_logits(model: DiaForConditionalGeneration, text: list[int], rows: torch.Tensor) -> torch.Tensor:
    """Teacher-forced: rows [N, K] → [N, K, V]."""
    with torch.no_grad():
        out = model(input_ids=torch.tensor([text]), decoder_input_ids=rows[None].contiguous())
    return out.logits.view(9, -1, 1028).transpose(0, 1)


def test_encoder_output_equals_transformers(hf_dia: DiaForConditionalGeneration, dia_network: DiaNetwork) -> None:
    with torch.no_grad():
        theirs = hf_dia.model.encoder(torch.tensor([TEXT])).last_hidden_state[0]
    torch.testing.assert_close(dia_network.encoder(torch.tensor(TEXT)), theirs, atol=2e-5, rtol=1e-4)


def test_unpadded_text_equals_text_padded_to_1024(hf_dia: DiaForConditionalGeneration, dia_network: DiaNetwork) -> None:
    padded = torch.zeros(1, 1024, dtype=torch.long)
    padded[0, : len(TEXT)] = torch.tensor(TEXT)
    with torch.no_grad():
        theirs = hf_dia.model.encoder(padded, attention_mask=(padded != 0).long()).last_hidden_state[0]
    torch.testing.assert_close(dia_network.encoder(torch.tensor(TEXT)), theirs[: len(TEXT)], atol=2e-5, rtol=1e-4)


def test_empty_text_is_one_vector_at_every_position_and_length(hf_dia: DiaForConditionalGeneration) -> None:
    """What the constant of the unconditional branch rests on, seen in the other implementation."""
    with torch.no_grad():
        short, long = (hf_dia.model.encoder(torch.zeros(1, n, dtype=torch.long)).last_hidden_state[0] for n in (1, 60))
    torch.testing.assert_close(long, short.expand(60, -1), atol=1e-5, rtol=1e-5)


def stepped(network: DiaNetwork, text: list[int], rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of rows [N, K], one step each → conditional and unconditional [N, K, V]."""
    with torch.inference_mode():
        pool = KeyValuePool(network.cache_shape, slots=1, device=network.device)
        pool.text[0] = network.read_text(text)
        steps = [network.step(rows[i : i + 1], pool, [0], [i]) for i in range(len(rows))]
    return torch.cat([s[0] for s in steps]), torch.cat([s[1] for s in steps])


def test_conditional_logits_equal_transformers(hf_dia: DiaForConditionalGeneration, dia_network: DiaNetwork) -> None:
    rows = delay_prefix(random_codes(40), DELAYS, BOS).T[:40]
    cond, _ = stepped(dia_network, TEXT, rows)
    torch.testing.assert_close(cond, hf_logits(hf_dia, TEXT, rows), atol=1e-4, rtol=1e-4)


def test_packed_weights_stay_as_close_to_transformers_as_their_precision_allows(
    hf_dia: DiaForConditionalGeneration, packed_network: DiaNetwork, request: pytest.FixtureRequest
) -> None:
    """Relative to the spread of the logits. transformers itself is at 0.13 in bfloat16 and 0.02 in float16 here: toy
    weights with an unscaled softmax magnify rounding. int8 is off unless it is asked for."""
    allowed = {"float32": 1e-5, "float16": 0.04, "bfloat16": 0.15, "int8": 0.2}
    rows = delay_prefix(random_codes(40), DELAYS, BOS).T[:40]
    cond, uncond = stepped(packed_network, TEXT, rows)
    for ours, theirs in ((cond, hf_logits(hf_dia, TEXT, rows)), (uncond, hf_logits(hf_dia, [0], rows))):
        error = ((ours - theirs).square().mean() / theirs.var()).sqrt()
        assert error < allowed[request.node.callspec.params["packed_network"]]


@pytest.mark.parametrize("length", [1, 7, 200])
def test_unconditional_logits_equal_transformers_for_any_length_of_empty_text(
    hf_dia: DiaForConditionalGeneration, dia_network: DiaNetwork, length: int
) -> None:
    rows = delay_prefix(random_codes(40), DELAYS, BOS).T[:40]
    _, uncond = stepped(dia_network, TEXT, rows)
    torch.testing.assert_close(uncond, hf_logits(hf_dia, [0] * length, rows), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("block", [1, 3, 40])
def test_prefill_in_blocks_leaves_what_single_steps_leave(dia_network: DiaNetwork, block: int) -> None:
    rows = delay_prefix(random_codes(41), DELAYS, BOS).T[:41]
    with torch.inference_mode():
        pools = [KeyValuePool(dia_network.cache_shape, slots=1, device=dia_network.device) for _ in range(2)]
        for pool in pools:
            pool.text[0] = dia_network.read_text(TEXT)
        for i in range(40):
            dia_network.step(rows[i : i + 1], pools[0], [0], [i])
        for i in range(0, 40, block):
            dia_network.prefill(rows[i : min(i + block, 40)], pools[1], 0, i)
        after = [dia_network.step(rows[40:], pool, [0], [40]) for pool in pools]
    torch.testing.assert_close(after[1][0], after[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[1][1], after[0][1], atol=1e-4, rtol=1e-4)


def hf_generate(model: DiaForConditionalGeneration, prompt: torch.Tensor, frames: int) -> torch.Tensor:
    """transformers' own generate, greedy with guidance → aligned new codes [K, T]."""
    prefix = delay_prefix(prompt, DELAYS, BOS).T  # [T + 16, K]
    ids = torch.where(prefix < 0, PAD, prefix)[None].contiguous()
    out = model.generate(
        input_ids=torch.tensor([TEXT]),
        attention_mask=torch.ones(1, len(TEXT), dtype=torch.long),
        decoder_input_ids=ids,
        decoder_attention_mask=torch.ones(1, prompt.shape[1] + 1, dtype=torch.long),
        do_sample=False,
        guidance_scale=3.0,
        top_k=35,
        # It forces the end 16 rows before the last one: 15 of delay, and the row of the end itself.
        max_new_tokens=frames + 16,
    )
    codes = undelay(out[0].T[None, :, prompt.shape[1] + 1 :], DELAYS)[0]
    return codes[:, : int((codes[0] == EOS).nonzero()[0, 0])]


def our_generate(network: DiaNetwork, prompt: torch.Tensor, frames: int) -> CodeSequence:
    decoder = DiaDecoder(network, KeyValuePool(network.cache_shape, slots=1, device=network.device))
    sampling = SamplingParams(temperature=0, cfg_scale=3.0, cfg_filter_top_k=35, seed=0)
    sequence = CodeSequence(tuple(TEXT), prompt.numpy(), sampling, frames, DELAYS)
    decoder.admit(sequence)
    while not sequence.done:
        decoder.step()
    return sequence


@pytest.mark.filterwarnings("ignore")  # its own advice about generation flags
@pytest.mark.parametrize("prompt_frames", [0, 1, 30, 200])
def test_guided_greedy_codes_equal_transformers_generate(
    hf_dia: DiaForConditionalGeneration, dia_network: DiaNetwork, prompt_frames: int
) -> None:
    """To the last code, the tail after the forced end included."""
    prompt = random_codes(prompt_frames)
    ours = our_generate(dia_network, prompt, frames=50)
    assert ours.frames == 50
    assert not ours.ended_by_itself
    assert torch.equal(torch.from_numpy(ours.codes(0, 50)), hf_generate(hf_dia, prompt, frames=50))


@pytest.mark.filterwarnings("ignore")
def test_an_end_that_the_model_chooses_equals_transformers_generate(
    hf_dia: DiaForConditionalGeneration, dia_network: DiaNetwork, tmp_path: Path
) -> None:
    prompt = random_codes(30)
    favourite = int(our_generate(dia_network, prompt, frames=50).codes(25, 26)[0, 0])
    model = copy.deepcopy(hf_dia)
    with torch.no_grad():  # the end becomes a louder twin of the code chosen in frame 25
        model.logits_dense.weight[EOS] = 1.05 * model.logits_dense.weight[favourite]
    model.save_pretrained(tmp_path)
    network = DiaNetwork.load(tmp_path, dtype=torch.float32, device=torch.device("cpu"), packs=Packs.alike(plain))
    ours = our_generate(network, prompt, frames=50)
    assert ours.ended_by_itself
    assert 0 < ours.frames < 50
    assert torch.equal(torch.from_numpy(ours.codes(0, ours.frames)), hf_generate(model, prompt, frames=50))
