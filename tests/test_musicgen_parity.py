"""MusicGen's decoder against two implementations that are not ours: codes of audiocraft, logits of transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from audiocraft_lm_fixtures import audiocraft_codes, audiocraft_lm
from musicgen_fixtures import LAYOUTS, asked, conditioning, decoder, network, prompt, run, sequence, tensors
from safetensors.numpy import load_file, save_file
from transformers import MusicgenDecoderConfig, MusicgenForCausalLM, MusicgenMelodyForCausalLM
from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

from models.decoding.cache import KeyValuePool
from models.musicgen.config import MusicgenConfig
from models.musicgen.network import MusicgenNetwork
from models.request import SamplingParams

GOLDEN = Path(__file__).parent / "golden" / "musicgen_codes.safetensors"

SAMPLINGS = {
    "greedy": asked(temperature=0.0),
    "top_k": asked(),
    "top_p": asked(top_p=0.8, cfg_filter_top_k=0, temperature=1.3),
    "both": asked(top_p=0.5),
    "neither": asked(cfg_filter_top_k=0, temperature=0.9),
    "unguided": asked(cfg_scale=1.0, seed=8),
    "unconditional": asked(cfg_scale=0.0, seed=9),
}
TUNES: dict[str, list[list[int] | None]] = {"melody": [None, [0, 4, 7, 11, 7, 4, 2]]}
FRAMES = 20

CASES = [
    (layout, how, known, number)
    for layout in LAYOUTS
    for how in SAMPLINGS
    for known in (0, 5)
    for number in range(len(TUNES.get(layout, [None])))
]


def tune_of(layout: str, number: int) -> list[int] | None:
    return TUNES.get(layout, [None])[number]


def theirs(models: dict[str, Any], layout: str, how: str, known: int, number: int, text: str) -> np.ndarray:
    start = prompt(LAYOUTS[layout], known)
    return audiocraft_codes(models[layout], SAMPLINGS[how], start, FRAMES, text, tune_of(layout, number))


def ours(net: MusicgenNetwork, sampling: SamplingParams, known: int, text: str, tune: list[int] | None) -> np.ndarray:
    each = sequence(net.config, sampling, text=text, tune=tune, frames=FRAMES, known=known)
    return run(decoder(net, slots=1), each)[0]


@pytest.fixture(scope="module")
def audiocrafts() -> dict[str, Any]:
    return {layout: audiocraft_lm(config, tensors(config)) for layout, config in LAYOUTS.items()}


@pytest.fixture(scope="module")
def networks() -> dict[str, MusicgenNetwork]:
    return {layout: network(config) for layout, config in LAYOUTS.items()}


@pytest.mark.parametrize(("layout", "how", "known", "number"), CASES)
def test_codes_are_those_of_audiocraft(audiocrafts, networks, layout, how, known, number):
    """To the last code, from the same seed: which pins the logits, the guidance, the sampling and the delays."""
    wanted = theirs(audiocrafts, layout, how, known, number, "a slow waltz")
    found = ours(networks[layout], SAMPLINGS[how], known, "a slow waltz", tune_of(layout, number))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_text_is_no_condition_for_audiocraft_either(audiocrafts, networks, layout):
    wanted = theirs(audiocrafts, layout, "top_k", 0, 0, "")
    np.testing.assert_array_equal(ours(networks[layout], SAMPLINGS["top_k"], 0, "", None), wanted)
    # Guidance has nothing to guide to: any scale gives the same.
    np.testing.assert_array_equal(ours(networks[layout], asked(cfg_scale=9.0), 0, "", None), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_codes_are_those_that_audiocraft_once_gave(networks, layout):
    """The same without audiocraft: frozen by `python tests/test_musicgen_parity.py` from its 1.4.0a2."""
    golden = load_file(GOLDEN)
    names = [name for name in golden if name.startswith(f"{layout}.")]
    assert len(names) == sum(case[0] == layout for case in CASES)
    for name in names:
        _, how, known, number = name.split(".")
        found = ours(networks[layout], SAMPLINGS[how], int(known), "a slow waltz", tune_of(layout, int(number)))
        np.testing.assert_array_equal(found, golden[name], err_msg=name)


def hf_model(config: MusicgenConfig) -> torch.nn.Module:
    kinds: Any = (MusicgenMelodyForCausalLM, MusicgenMelodyDecoderConfig)
    make, settings = kinds if config.melody else (MusicgenForCausalLM, MusicgenDecoderConfig)
    model = make(
        settings(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            ffn_dim=config.ffn,
            num_codebooks=config.codebooks,
            audio_channels=config.channels,
            pad_token_id=config.special,
            bos_token_id=config.special,
        )
    ).eval()
    weights = {k.removeprefix("decoder."): v for k, v in tensors(config).items() if k.startswith("decoder.")}
    model.load_state_dict(weights)
    return model


def stepped(net: MusicgenNetwork, condition: Any, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of rows [N, K], one step each, after the prefix in one go → conditional and unconditional [N, K, V]."""
    with torch.inference_mode():
        pool = KeyValuePool(net.cache_shape, slots=1, device=net.device)
        pool.text[0] = net.read_text(condition)
        prefix = net.read_prefix(condition)
        P = prefix.shape[1]
        net.prefill(prefix, rows[:0], pool, 0, 0)
        steps = [net.step(rows[i : i + 1], pool, [0], [P + i]) for i in range(len(rows))]
    return torch.cat([s[0] for s in steps]), torch.cat([s[1] for s in steps])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_those_of_transformers(networks, layout):
    """Its decoder is given projected states: text to cross, or a melody and a text to go before the codes."""
    net, config = networks[layout], LAYOUTS[layout]
    tune = tune_of(layout, -1)
    condition = conditioning(config, "a slow waltz", tune)
    rows = torch.from_numpy(prompt(config, 30).T)
    with torch.no_grad():
        weights = tensors(config)
        text = torch.nn.functional.linear(
            condition.text, weights["enc_to_dec_proj.weight"], weights["enc_to_dec_proj.bias"]
        )
        branches = [text, torch.zeros_like(text)]
        if config.melody:
            assert condition.chroma is not None
            silence = torch.zeros_like(condition.chroma)
            silence[:, 0] = 1
            project = weights["audio_enc_to_dec_proj.weight"], weights["audio_enc_to_dec_proj.bias"]
            melodies = [torch.nn.functional.linear(chroma, *project) for chroma in (condition.chroma, silence)]
            branches = [torch.cat(pair) for pair in zip(melodies, branches, strict=True)]
        ids = rows.T.repeat(2, 1)  # [2·K, T]
        model = hf_model(config)
        logits = model(input_ids=ids, encoder_hidden_states=torch.stack(branches)).logits[:, -len(rows) :]
    logits = logits.unflatten(0, (2, config.codebooks)).transpose(1, 2)  # [2, T, K, V]
    cond, uncond = stepped(net, condition, rows)
    # Positions are computed in another order: see _sinusoids.
    torch.testing.assert_close(cond, logits[0], atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(uncond, logits[1], atol=2e-4, rtol=1e-4)


if __name__ == "__main__":
    models = {layout: audiocraft_lm(config, tensors(config)) for layout, config in LAYOUTS.items()}
    frozen = {
        f"{layout}.{how}.{known}.{number}": theirs(models, layout, how, known, number, "a slow waltz").astype(np.int16)
        for layout, how, known, number in CASES
    }
    save_file(frozen, GOLDEN)
