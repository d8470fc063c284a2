"""Tiny checkpoints in both formats: saved by transformers, and exported as audiocraft does from its own classes."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from audiocraft_fixtures import audiocraft
from safetensors.torch import save_file
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenForConditionalGeneration,
    MusicgenMelodyConfig,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5EncoderModel,
)
from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig
from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

from models.musicgen.random_tokenizer import VOCABULARY, tokenizer_json
from models.weights.disk import CheckpointPaths, paths_in

TEXT_WIDTH, WIDTH, CODES, RATIOS = 24, 32, 64, [8, 5, 4, 4]
KINDS = ("mono", "stereo", "melody")


def t5_config() -> T5Config:
    return T5Config(
        vocab_size=VOCABULARY, d_model=TEXT_WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=3, num_decoder_layers=1
    )


def codec_config(pad_mode: str = "constant") -> EncodecConfig:
    """What transformers needs to know to be the codec of XP_CODEC."""
    return EncodecConfig(
        sampling_rate=32_000,
        num_filters=4,
        hidden_size=8,
        codebook_dim=8,
        codebook_size=CODES,
        upsampling_ratios=RATIOS,
        target_bandwidths=[1.2],  # kbit/s: 50 frames of 4 codes of 6 bits
        use_causal_conv=False,
        use_conv_shortcut=False,
        pad_mode=pad_mode,
    )


def hub_model(kind: str) -> PreTrainedModel:
    """One of transformers' own models, of random weights that all matter."""
    stereo, melody = kind == "stereo", kind == "melody"
    decoder = (MusicgenMelodyDecoderConfig if melody else MusicgenDecoderConfig)(
        hidden_size=WIDTH,
        ffn_dim=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_codebooks=8 if stereo else 4,
        audio_channels=2 if stereo else 1,
        vocab_size=CODES,
        pad_token_id=CODES,
        bos_token_id=CODES,
    )
    parts: dict[str, Any] = {"text_encoder": t5_config(), "audio_encoder": codec_config(), "decoder": decoder}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        if melody:
            model: Any = MusicgenMelodyForConditionalGeneration(MusicgenMelodyConfig(**parts))
        else:
            model = MusicgenForConditionalGeneration(MusicgenConfig(**parts))
        codebooks = [tensor for name, tensor in model.named_buffers() if name.endswith(".embed")]
        for tensor in (*model.parameters(), *codebooks):
            tensor.data = tensor.data + 0.05 * torch.randn(tensor.shape)
    return model.eval()


def write_hub(root: Path, kind: str, **options: Any) -> tuple[PreTrainedModel, CheckpointPaths]:
    """A folder as transformers saves it; the options are save_pretrained's."""
    paths, model = paths_in(root, f"musicgen-{kind}"), hub_model(kind)
    model.save_pretrained(paths.model, **options)
    (paths.model / "tokenizer.json").write_text(tokenizer_json())
    return model, paths


# What audiocraft's configurations (config/model/lm/musicgen_lm.yaml, config/conditioner/…, config/model/encodec/…) make
# of its own settings, with its references and a section of training; sizes are the only change.
XP_NETWORK: dict[str, Any] = {
    "solver": "musicgen",
    "sample_rate": 32_000,
    "channels": 1,
    "device": "cuda",
    "dtype": "float32",
    "dora": {"dir": "/checkpoint/${oc.env:USER}/outputs"},
    "optim": {"lr": "1e-4", "ema": {"use": True}},
    "dataset": {"segment_duration": 30, "train": {"merge_text_p": 0.25}},
    "compression_model_checkpoint": "//pretrained/facebook/encodec_32khz",
    "compression_model_n_q": None,
    "interleave_stereo_codebooks": {"use": False, "per_timestep": False},
    "lm_model": "transformer_lm",
    "transformer_lm": {
        "dim": WIDTH,
        "num_heads": 2,
        "num_layers": 2,
        "hidden_scale": 4,
        "n_q": 4,
        "card": CODES,
        "dropout": 0.0,
        "emb_lr": None,
        "activation": "gelu",
        "norm_first": True,
        "bias_ff": False,
        "bias_attn": False,
        "bias_proj": False,
        "past_context": None,
        "causal": True,
        "custom": False,
        "memory_efficient": True,
        "attention_as_float32": False,
        "layer_scale": None,
        "positional_embedding": "sin",
        "xpos": False,
        "checkpointing": "none",
        "weight_init": "gaussian",
        "depthwise_init": "current",
        "zero_bias_init": True,
        "norm": "layer_norm",
        "cross_attention": False,
        "qk_layer_norm": False,
        "qk_layer_norm_cross": False,
        "attention_dropout": None,
        "kv_repeat": 1,
        "two_step_cfg": False,
    },
    "codebooks_pattern": {
        "modeling": "delay",
        "delay": {"delays": [0, 1, 2, 3], "flatten_first": 0, "empty_initial": 0},
        "unroll": {"flattening": [0, 1, 2, 3], "delays": [0, 0, 0, 0]},
        "music_lm": {"group_by": 2},
        "coarse_first": {"delays": [0, 0, 0]},
    },
    "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
    "attribute_dropout": {},
    "fuser": {
        "cross_attention_pos_emb": False,
        "cross_attention_pos_emb_scale": 1,
        "sum": [],
        "prepend": [],
        "cross": ["description"],
        "input_interpolate": [],
    },
    "conditioners": {
        "description": {
            "model": "t5",
            "t5": {"name": "t5-small", "finetune": False, "word_dropout": 0.3, "normalize_text": False},
        }
    },
}
CHROMA: dict[str, Any] = {
    "model": "chroma_stem",
    "chroma_stem": {
        "sample_rate": "${sample_rate}",
        "n_chroma": 12,
        "radix2_exp": 14,
        "argmax": True,
        "match_len_on_eval": False,
        "eval_wavs": None,
        "n_eval_wavs": 100,
        "cache_path": None,
    },
}
XP_CODEC: dict[str, Any] = {
    "solver": "compression",
    "sample_rate": 32_000,
    "channels": 1,
    "device": "cuda",
    "compression_model": "encodec",
    "encodec": {
        "autoencoder": "seanet",
        "quantizer": "rvq",
        "sample_rate": "${sample_rate}",
        "channels": "${channels}",
        "causal": False,
        "renormalize": False,
    },
    "seanet": {
        "dimension": 8,
        "channels": "${channels}",
        "causal": "${encodec.causal}",
        "n_filters": 4,
        "n_residual_layers": 1,
        "ratios": RATIOS,
        "activation": "ELU",
        "activation_params": {"alpha": 1.0},
        "norm": "weight_norm",
        "norm_params": {},
        "kernel_size": 7,
        "residual_kernel_size": 3,
        "last_kernel_size": 7,
        "dilation_base": 2,
        "pad_mode": "constant",
        "true_skip": True,
        "compress": 2,
        "lstm": 2,
        "disable_norm_outer_blocks": 0,
        "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
        "encoder": {},
    },
    "rvq": {
        "n_q": 4,
        "q_dropout": False,
        "bins": CODES,
        "decay": 0.99,
        "kmeans_init": True,
        "kmeans_iters": 50,
        "threshold_ema_dead_code": 2,
        "orthogonal_reg_weight": 0.0,
        "orthogonal_reg_active_codes_only": False,
    },
}


def network_cfg(kind: str) -> dict[str, Any]:
    """XP_NETWORK as audiocraft's users change it for stereo (docs/MUSICGEN.md) and for a melody."""
    cfg = deepcopy(XP_NETWORK)
    if kind == "stereo":
        cfg["channels"] = 2
        cfg["interleave_stereo_codebooks"]["use"] = True
        cfg["transformer_lm"]["n_q"] = 8
        cfg["codebooks_pattern"]["delay"]["delays"] = [0, 0, 1, 1, 2, 2, 3, 3]
    if kind == "melody":
        cfg["fuser"] |= {"prepend": ["self_wav", "description"], "cross": []}
        cfg["conditioners"] = {"self_wav": deepcopy(CHROMA)} | cfg["conditioners"]
    return cfg


def audiocraft_network(kind: str, *, custom: bool = True) -> Any:
    """Audiocraft's LMModel of network_cfg, random; its text encoder and its Demucs are left out.

    custom: with audiocraft's own attention, as the published ones, or with torch's, which names its tensors otherwise.
    """
    builders, conditioners = audiocraft("models.builders"), audiocraft("modules.conditioners")
    omegaconf = __import__("omegaconf")
    made = omegaconf.OmegaConf.create(network_cfg(kind))
    made.device = "cpu"
    made.transformer_lm.memory_efficient = False  # which needs xformers; its own attention needs only torch
    made.transformer_lm.custom = custom
    description = conditioners.TextConditioner(TEXT_WIDTH, WIDTH)
    provided = {"description": description}
    if kind == "melody":
        chroma = conditioners.WaveformConditioner(12, WIDTH, device="cpu")
        chroma.chroma = torch.nn.Module()
        chroma.chroma.spec = torch.nn.Module()
        chroma.chroma.spec.register_buffer("window", torch.ones(16))  # audiocraft's ChromaExtractor keeps one
        provided = {"self_wav": chroma, "description": description}
    provider = conditioners.ConditioningProvider(provided)
    before = builders.get_conditioner_provider
    builders.get_conditioner_provider = lambda *_: provider
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            network = builders.get_lm_model(made)
            for parameter in network.parameters():
                parameter.data = parameter.data + 0.1 * torch.randn(parameter.shape)
    finally:
        builders.get_conditioner_provider = before
    return network.eval()


def audiocraft_codec() -> Any:
    """Audiocraft's EncodecModel of XP_CODEC, random, as if it had been trained."""
    builders, omegaconf = audiocraft("models.builders"), __import__("omegaconf")
    made = omegaconf.OmegaConf.create(XP_CODEC)
    made.device = "cpu"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        codec = builders.get_compression_model(made)
        for name, buffer in codec.named_buffers():
            buffer.data = torch.randn(buffer.shape) if name.endswith("embed") else torch.ones(buffer.shape)
    return codec.eval()


def export(path: Path, cfg: dict[str, Any], module: Any) -> None:
    """As audiocraft/utils/export.py lays a file out; the published ones hold the network in float16."""
    omegaconf = __import__("omegaconf")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "best_state": module.state_dict(),
        "xp.cfg": omegaconf.OmegaConf.to_yaml(omegaconf.OmegaConf.create(cfg)),
        "version": "1.4.0a2",
        "exported": True,
    }
    torch.save(content, path)


def write_text(folder: Path) -> T5EncoderModel:
    """A whole T5 as the hub has it, decoder and all; only its encoder is read. Returns the encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        encoder = T5EncoderModel(t5_config()).eval()
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items() if "embed_tokens" not in name}
    unused = {"decoder.final_layer_norm.weight": torch.zeros(TEXT_WIDTH), "lm_head.weight": torch.zeros(2, 2)}
    save_file(state | unused, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(t5_config().to_dict()))
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return encoder


def write_audiocraft(root: Path, kind: str, *, custom: bool = True) -> tuple[Any, Any, CheckpointPaths]:
    """(network, codec, where they are): a folder as audiocraft's users have it, with the T5 that it does not hold."""
    paths = paths_in(root, f"musicgen-{kind}")
    network, codec = audiocraft_network(kind, custom=custom), audiocraft_codec()
    export(paths.model / "state_dict.bin", network_cfg(kind), network)
    export(paths.model / "compression_state_dict.bin", XP_CODEC, codec)
    write_text(paths.text)
    return network, codec, paths
