"""Names of tensors: every spelling that published files have → the one that networks are loaded with.

That one is transformers' (5.x): MusicgenForConditionalGeneration, MusicgenMelodyForConditionalGeneration, EncodecModel,
T5EncoderModel. None stands for what nothing needs: tables that are computed, statistics of training, a decoder of T5.
Audiocraft's names: audiocraft/models/lm.py, modules/transformer.py, modules/seanet.py, quantization/core_vq.py.
"""

import re
from collections.abc import Mapping
from typing import Any

from models.errors import WeightsError

State = Mapping[str, Any]  # name → tensor, as a state dict has it

# What training with moving averages left behind: the codes themselves are in `embed`.
_TRAINING_ONLY = re.compile(r"\.codebook\.(embed_avg|cluster_size|inited)$")
_WEIGHT_NORM = (
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)

# "mha." stands between where attention is torch's own class: transformer_lm.custom and memory_efficient both false.
_LAYER = r"transformer\.(layers\.\d+)\."
_LANGUAGE_MODEL = (  # audiocraft → transformers; the first that fits counts
    (r"emb\.(\d+)\.weight", r"decoder.model.decoder.embed_tokens.\1.weight"),
    (r"linears\.(\d+)\.weight", r"decoder.lm_heads.\1.weight"),
    (r"out_norm\.(weight|bias)", r"decoder.model.decoder.layer_norm.\1"),
    (_LAYER + r"self_attn\.(?:mha\.)?out_proj\.weight", r"decoder.model.decoder.\1.self_attn.out_proj.weight"),
    (_LAYER + r"cross_attention\.(?:mha\.)?out_proj\.weight", r"decoder.model.decoder.\1.encoder_attn.out_proj.weight"),
    (_LAYER + r"linear([12])\.weight", r"decoder.model.decoder.\1.fc\2.weight"),
    (_LAYER + r"norm1\.(weight|bias)", r"decoder.model.decoder.\1.self_attn_layer_norm.\2"),
    (_LAYER + r"norm_cross\.(weight|bias)", r"decoder.model.decoder.\1.encoder_attn_layer_norm.\2"),
    (_LAYER + r"norm2\.(weight|bias)", r"decoder.model.decoder.\1.final_layer_norm.\2"),
    (r"condition_provider\.conditioners\.description\.output_proj\.(weight|bias)", r"enc_to_dec_proj.\1"),
    (r"condition_provider\.conditioners\.self_wav\.output_proj\.(weight|bias)", r"audio_enc_to_dec_proj.\1"),
)
_FUSED = re.compile(_LAYER + r"(self_attn|cross_attention)\.(?:mha\.)?in_proj_weight")
_ATTENTIONS = {"self_attn": "self_attn", "cross_attention": "encoder_attn"}
_CHROMA = "condition_provider.conditioners.self_wav.chroma."  # its window and filters, which are computed

_CODEC = (  # audiocraft → transformers; all of them
    (re.compile(r"^(encoder|decoder)\.model\."), r"\1.layers."),
    (re.compile(r"^quantizer\.vq\.layers\."), "quantizer.layers."),
    (re.compile(r"\._codebook\."), ".codebook."),
    (re.compile(r"\.(conv|convtr)\.\1\."), ".conv."),
)


def hub_name(name: str) -> str | None:
    """The name of a tensor of a folder in the hub's format; transformers before 4.36 and 5 spell some otherwise."""
    if name.endswith("decoder.embed_positions.weights"):
        return None
    if name == "text_encoder.encoder.embed_tokens.weight":  # one table under two names
        return "text_encoder.shared.weight"
    return codec_name(name) if name.startswith("audio_encoder.") else name


def codec_name(name: str) -> str | None:
    """The name of a tensor of EncodecModel, weight norm as torch's parametrizations spell it."""
    for old, new in _WEIGHT_NORM:
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return None if _TRAINING_ONLY.search(name) else name


def text_name(name: str) -> str | None:
    """The name of a tensor of T5EncoderModel in a file that holds all of T5."""
    if name == "encoder.embed_tokens.weight":
        return "shared.weight"
    return name if name.startswith(("shared.", "encoder.")) else None


def language_model_state(state: State, origin: str) -> dict[str, Any]:
    """The state dict of audiocraft's LMModel under transformers' names, fused projections cut into q, k and v.

    Raises WeightsError that names the tensors which no supported network has.
    """
    renamed: dict[str, Any] = {}
    strange = []
    for name, tensor in state.items():
        if fused := _FUSED.fullmatch(name):
            prefix = f"decoder.model.decoder.{fused[1]}.{_ATTENTIONS[fused[2]]}"
            parts = tensor.chunk(3)  # [3 * D, D] → q, k, v of [D, D]
            renamed |= {f"{prefix}.{part}_proj.weight": cut for part, cut in zip("qkv", parts, strict=True)}
        elif new := _renamed(name):
            renamed[new] = tensor
        elif not name.startswith(_CHROMA):
            strange.append(name)
    if strange:
        raise WeightsError(
            f"{origin} holds {len(strange)} tensors that no network of MusicGen or AudioGen has, {min(strange)} among "
            "them. Only their own architecture is supported."
        )
    return renamed


def codec_state(state: State) -> dict[str, Any]:
    """The state dict of audiocraft's EncodecModel under the names of transformers' EncodecModel."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in _CODEC:
            name = pattern.sub(replacement, name)
        if (known := codec_name(name)) is not None:
            renamed[known] = tensor
    return renamed


def _renamed(name: str) -> str | None:
    for pattern, replacement in _LANGUAGE_MODEL:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return None
