"""transformers' Dia with random weights: the best public implementation on a CPU, and the checkpoint that ours loads.

Speed does not depend on what the weights are, so a benchmark needs no download.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import DiaConfig, DiaForConditionalGeneration, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput


def random_dia(config: DiaConfig, seed: int = 0) -> DiaForConditionalGeneration:
    """A model in bfloat16 whose weights are small noise."""
    with torch.device("meta"):
        model = DiaForConditionalGeneration(config)
    model = model.to(torch.bfloat16).to_empty(device="cpu").eval()
    block = 0.02 * torch.randn(2**22, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    for parameter in model.parameters():
        flat = parameter.data.view(-1)
        for start in range(0, flat.numel(), block.numel()):
            piece = flat[start : start + block.numel()]
            piece.copy_(block[: piece.numel()])
    decoder = config.decoder_config
    offsets = model.model.decoder.embeddings.offsets
    offsets.copy_(torch.arange(decoder.num_channels) * decoder.vocab_size)
    for part in (model.model.encoder, model.model.decoder):
        half = part.rotary_emb.inv_freq.numel()
        part.rotary_emb.inv_freq.copy_(10000.0 ** -(torch.arange(half) / half))
    return model


def save(model: DiaForConditionalGeneration, directory: Path) -> None:
    """In shards, as the published checkpoint."""
    model.save_pretrained(directory, max_shard_size="2GB")


def step_at(model: DiaForConditionalGeneration, position: int, text_bytes: int) -> Callable[[], None]:
    """A function that takes one decoder step with guidance, at `position`, again and again at the same length."""
    c = model.config.decoder_config
    own, cross = DynamicCache(), DynamicCache()

    def noise(heads: int, length: int, width: int) -> torch.Tensor:
        return 0.02 * torch.randn(2, heads, length, width, dtype=torch.bfloat16)

    for i in range(c.num_hidden_layers):
        own.update(*(noise(c.num_key_value_heads, position, c.head_dim) for _ in range(2)), i)
        cross.update(*(noise(c.cross_num_attention_heads, text_bytes, c.cross_head_dim) for _ in range(2)), i)
    cache = EncoderDecoderCache(own, cross)
    for i in range(c.num_hidden_layers):
        cache.is_updated[i] = True
    text = BaseModelOutput(last_hidden_state=torch.zeros(2, text_bytes, c.cross_hidden_size, dtype=torch.bfloat16))
    codes = torch.full((2, 1, c.num_channels), 5)

    def step() -> None:
        with torch.inference_mode():
            model(
                encoder_outputs=text,
                attention_mask=torch.ones(2, text_bytes, dtype=torch.long),
                decoder_input_ids=codes,
                decoder_position_ids=torch.full((2, 1), position),
                past_key_values=cache,
                use_cache=True,
            )
        own.crop(-1)

    return step


def read_text(model: DiaForConditionalGeneration, text_bytes: int) -> Callable[[], None]:
    """A function that encodes a text for both branches of guidance, as generate() does."""
    ids = torch.full((2, text_bytes), 65)

    def encode() -> None:
        with torch.inference_mode():
            hidden = model.model.encoder(ids).last_hidden_state
            for layer in model.model.decoder.layers:
                layer.cross_attention.k_proj(hidden), layer.cross_attention.v_proj(hidden)

    return encode
