"""Audiocraft's LMModel with the weights and conditions of musicgen_fixtures, whole down to its `generate`."""

from typing import Any

import numpy as np
import torch
from audiocraft_fixtures import audiocraft
from musicgen_fixtures import END, letters, states
from torch import nn

from models.musicgen.config import CHROMA_BINS, MusicgenConfig
from models.request import SamplingParams


class _Tokens(dict[str, torch.Tensor]):
    def to(self, device: Any) -> "_Tokens":
        return self


def _tokenize(entries: list[str], return_tensors: str, padding: bool) -> _Tokens:
    """As T5's tokenizer is called: ids and mask, padded to the longest."""
    ids = [letters(entry) for entry in entries]
    S = max(map(len, ids))
    padded = torch.tensor([[*row, *([END] * (S - len(row)))] for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (S - len(row)) for row in ids])
    return _Tokens(input_ids=padded, attention_mask=mask)


class _States:
    def __init__(self, table: torch.Tensor) -> None:
        self.table = table

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return type("Output", (), {"last_hidden_state": self.table[input_ids]})()


def _text_conditioner(config: MusicgenConfig) -> nn.Module:
    """Its T5Conditioner, all but the T5 in it."""
    conditioners = audiocraft("modules.conditioners")
    one = conditioners.T5Conditioner.__new__(conditioners.T5Conditioner)
    conditioners.BaseConditioner.__init__(one, config.text_width, config.width)
    one.device, one.normalize_text, one.word_dropout, one.finetune = "cpu", False, 0.0, False
    one.autocast = audiocraft("utils.autocast").TorchAutocast(enabled=False)
    one.t5_tokenizer = _tokenize
    one.__dict__["t5"] = _States(states(config))
    return one


def _melody_conditioner(config: MusicgenConfig) -> nn.Module:
    """A waveform conditioner that reads a tune out of a waveform, one sample a frame: the pitch class plus 1.

    Silence gives what the real one's chroma gives of it, the first pitch class throughout; a short waveform is repeated
    to the full length, as the real one does for the published checkpoints (`match_len_on_eval`).
    """
    conditioners = audiocraft("modules.conditioners")

    class Tune(conditioners.WaveformConditioner):  # type: ignore[name-defined,misc]
        def _get_wav_embedding(self, x: Any) -> torch.Tensor:
            pitches = (x.wav[:, 0].long() - 1).clamp_min(0)
            pitches = pitches.repeat(1, -(-config.chroma_length // pitches.shape[1]))[:, : config.chroma_length]
            return nn.functional.one_hot(pitches, CHROMA_BINS).float()

        def _downsampling_factor(self) -> int:
            return 1

    one = Tune(CHROMA_BINS, config.width, "cpu")
    one._use_masking = False
    return one


def audiocraft_lm(config: MusicgenConfig, weights: dict[str, torch.Tensor]) -> Any:
    """The model with these weights, named as transformers names them."""
    conditioners, lm = audiocraft("modules.conditioners"), audiocraft("models.lm")
    by_name = {"description": _text_conditioner(config)}
    if config.melody:
        by_name["self_wav"] = _melody_conditioner(config)
    fused = {"sum": [], "input_interpolate": [], "prepend": [], "cross": ["description"]}
    if config.melody:
        fused |= {"prepend": ["self_wav", "description"], "cross": []}
    model = lm.LMModel(
        audiocraft("modules.codebooks_patterns").DelayedPatternProvider(config.codebooks, list(config.delays)),
        conditioners.ConditioningProvider(by_name),
        conditioners.ConditionFuser(fused),
        n_q=config.codebooks,
        card=config.vocabulary,
        dim=config.width,
        num_heads=config.heads,
        hidden_scale=config.ffn / config.width,
        norm_first=True,
        bias_proj=False,
        num_layers=config.layers,
        dropout=0.0,
        activation="gelu",
        bias_ff=False,
        bias_attn=False,
        causal=True,
        custom=True,
        cross_attention=not config.melody,
    )
    model.load_state_dict(_renamed(config, weights))
    return model.eval()


def _renamed(config: MusicgenConfig, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of transformers' convert_musicgen_transformers.py."""
    names = {"description": "enc_to_dec_proj", "self_wav": "audio_enc_to_dec_proj"}
    out = {
        f"condition_provider.conditioners.{condition}.output_proj.{part}": weights[f"{name}.{part}"]
        for condition, name in names.items()
        for part in ("weight", "bias")
        if f"{name}.{part}" in weights
    }
    decoder = "decoder.model.decoder"
    for k in range(config.codebooks):
        out[f"emb.{k}.weight"] = weights[f"{decoder}.embed_tokens.{k}.weight"]
        out[f"linears.{k}.weight"] = weights[f"decoder.lm_heads.{k}.weight"]
    parts = ["self_attn"] if config.melody else ["self_attn", "cross_attention"]
    norms = {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm"}
    norms |= {} if config.melody else {"norm_cross": "encoder_attn_layer_norm"}
    for i in range(config.layers):
        theirs, ours = f"transformer.layers.{i}", f"{decoder}.layers.{i}"
        for part in parts:
            name = f"{ours}.{part.replace('cross_attention', 'encoder_attn')}"
            fused = [weights[f"{name}.{p}_proj.weight"] for p in ("q", "k", "v")]
            out[f"{theirs}.{part}.in_proj_weight"] = torch.cat(fused)
            out[f"{theirs}.{part}.out_proj.weight"] = weights[f"{name}.out_proj.weight"]
        for n in (1, 2):
            out[f"{theirs}.linear{n}.weight"] = weights[f"{ours}.fc{n}.weight"]
        for their_norm, our_norm in norms.items():
            for part in ("weight", "bias"):
                out[f"{theirs}.{their_norm}.{part}"] = weights[f"{ours}.{our_norm}.{part}"]
    for part in ("weight", "bias"):
        out[f"out_norm.{part}"] = weights[f"{decoder}.layer_norm.{part}"]
    return out


def audiocraft_codes(
    model: Any, sampling: SamplingParams, prompt: np.ndarray, frames: int, text: str, tune: list[int] | None = None
) -> np.ndarray:
    """What its `generate` adds to the prompt [K, T] → [K, frames], seeded as its users seed it."""
    conditioners = audiocraft("modules.conditioners")
    attributes = conditioners.ConditioningAttributes(text={"description": text})
    wav = torch.zeros(1, 1, 1) if tune is None else torch.tensor(tune)[None, None].float() + 1
    attributes.wav["self_wav"] = conditioners.WavCondition(wav, torch.tensor([wav.shape[-1]]), [32_000], [None])
    with torch.random.fork_rng():
        torch.manual_seed(sampling.seed)
        out = model.generate(
            torch.from_numpy(prompt)[None] if prompt.shape[1] else None,
            [attributes],
            max_gen_len=prompt.shape[1] + frames,
            use_sampling=True,
            temp=sampling.temperature,
            top_k=sampling.cfg_filter_top_k,
            top_p=sampling.top_p,
            cfg_coef=sampling.cfg_scale,
        )
    codes: np.ndarray = out[0, :, prompt.shape[1] :].numpy()
    return codes
