"""A checkpoint of MusicGen or AudioGen, in whichever of two formats its files are: settings, and tensors by one name.

- transformers': model/ has config.json, tokenizer.json and model.safetensors (or shards), with codec and text encoder.
- audiocraft's: model/ has state_dict.bin and compression_state_dict.bin. The second is a codec, or says that the codec
  is a published one, whose files (transformers' EncodecModel) are then in codec/. The text encoder, a T5 of
  transformers, is never in them: it is in text/. Source: audiocraft/models/loaders.py, audiocraft/utils/export.py.

Strict: a setting or a tensor that has no place is an error that names it. Knows no layer.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from models.codecs.encodec_config import EncodecConfig
from models.codecs.encodec_settings import encodec_from_audiocraft, encodec_from_hub
from models.decoding.checkpoint import Checkpoint, TensorSource
from models.decoding.state_dict import StateDict
from models.errors import WeightsError
from models.musicgen.audiocraft_config import config_from_audiocraft, text_encoder_name
from models.musicgen.config import MusicgenConfig
from models.musicgen.names import codec_name, codec_state, hub_name, language_model_state, text_name
from models.musicgen.part import Part
from models.musicgen.torch_file import read_torch_file
from models.weights.disk import CheckpointPaths
from models.weights.references import resolve_references

NETWORK, CODEC = "state_dict.bin", "compression_state_dict.bin"  # audiocraft's names of its two files
# What a model is built from; the rest of xp.cfg is of its training.
_SECTIONS = frozenset(
    {"solver", "sample_rate", "channels", "dataset", "interleave_stereo_codebooks"}
    | {"lm_model", "transformer_lm", "codebooks_pattern", "conditioners", "fuser"}
    | {"compression_model", "encodec", "seanet", "rvq"}
)
_TEXT_PROJECTION = "enc_to_dec_proj.weight"


@dataclass(frozen=True)
class MusicgenCheckpoint:
    """Settings and tensors of one model. Each tensor is taken once; any that is left over is an error in the end."""

    config: MusicgenConfig
    codec_config: EncodecConfig
    language_model: TensorSource  # as in MusicgenForConditionalGeneration: decoder.…, enc_to_dec_proj.…
    codec: TensorSource  # as in EncodecModel
    text: TensorSource  # as in T5EncoderModel
    text_config: Mapping[str, Any]  # the contents of T5's config.json
    text_folder: Path  # where its tokenizer.json is


@contextmanager
def open_checkpoint(
    paths: CheckpointPaths, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Iterator[MusicgenCheckpoint]:
    """The checkpoint in `paths`. dtype and device are those of tensors that are taken without saying which.

    Raises WeightsError: at once for settings that are not supported, on leaving for tensors that nobody took.
    """
    opened = _open_audiocraft if _is_audiocraft(paths.model) else _open_hub
    with opened(paths, dtype, torch.device(device)) as checkpoint:
        yield checkpoint


def _is_audiocraft(folder: Path) -> bool:
    """Published folders hold both formats; then transformers' counts, which needs no pickle."""
    if (folder / "config.json").is_file() and _has_hub_tensors(folder):
        return False
    if (folder / NETWORK).is_file():
        return True
    raise WeightsError(
        f"{folder} holds no checkpoint of MusicGen: neither config.json with model.safetensors, as transformers saves "
        f"them, nor {NETWORK} with {CODEC}, as audiocraft exports them."
    )


def _has_hub_tensors(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "pytorch_model*.bin"))


@contextmanager
def _open_hub(paths: CheckpointPaths, dtype: torch.dtype, device: torch.device) -> Iterator[MusicgenCheckpoint]:
    path = paths.model / "config.json"
    config = MusicgenConfig.load(path, paths.name)
    raw = json.loads(path.read_text())
    codec_config = encodec_from_hub(raw["audio_encoder"], channels=config.channels, source=str(path))
    with _hub_tensors(paths.model, hub_name, dtype, device) as tensors:
        yield MusicgenCheckpoint(
            config=config,
            codec_config=codec_config,
            language_model=tensors,
            codec=Part(tensors, "audio_encoder."),
            text=Part(tensors, "text_encoder."),
            text_config=raw["text_encoder"],
            text_folder=paths.model,
        )


@contextmanager
def _open_audiocraft(paths: CheckpointPaths, dtype: torch.dtype, device: torch.device) -> Iterator[MusicgenCheckpoint]:
    path = paths.model / NETWORK
    cfg, state = _exported(path)
    text_config = _text_config(paths.text, text_encoder_name(cfg, str(path)), path)
    channels = 2 if (cfg.get("interleave_stereo_codebooks") or {}).get("use") else 1
    tensors = language_model_state(state, str(path))
    with (
        _codec(paths, channels, device) as (codec_config, codec),
        _hub_tensors(paths.text, text_name, torch.float32, device) as text,
        StateDict(tensors, str(path), dtype, device) as language_model,
    ):
        frame_rate = codec_config.sample_rate / codec_config.hop_length
        config = config_from_audiocraft(cfg, paths.name, text_config["d_model"], frame_rate, str(path))
        _check_halves(config, codec_config, tensors, paths)
        yield MusicgenCheckpoint(config, codec_config, language_model, codec, text, text_config, paths.text)


@contextmanager
def _codec(paths: CheckpointPaths, channels: int, device: torch.device) -> Iterator[tuple[EncodecConfig, TensorSource]]:
    """The codec of compression_state_dict.bin, or the one that it points to."""
    path = paths.model / CODEC
    pointer = read_torch_file(path).get("pretrained")
    if pointer is None:
        cfg, state = _exported(path)
        with StateDict(codec_state(state), str(path), torch.float32, device) as tensors:
            yield encodec_from_audiocraft(cfg, channels=channels, source=str(path)), tensors
        return
    settings = paths.codec / "config.json"
    if not settings.is_file():
        raise WeightsError(
            f"{path} says that its codec is {pointer!r}. Put that repository's config.json and model.safetensors into "
            f"{paths.codec}; it must be an EnCodec in transformers' format."
        )
    with _hub_tensors(paths.codec, codec_name, torch.float32, device) as tensors:
        yield encodec_from_hub(_read_json(settings), channels=channels, source=str(settings)), tensors


def _exported(path: Path) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """(settings, tensors) of a file that audiocraft exported."""
    content = read_torch_file(path)
    if missing := [key for key in ("best_state", "xp.cfg") if key not in content]:
        raise WeightsError(
            f"{path} has no {' and no '.join(missing)}; only what audiocraft/utils/export.py writes is supported."
        )
    try:
        cfg = yaml.safe_load(content["xp.cfg"])
    except (yaml.YAMLError, AttributeError) as error:
        raise WeightsError(f"{path}: xp.cfg is no YAML ({error}).") from error
    if not isinstance(cfg, dict) or not isinstance(content["best_state"], Mapping):
        raise WeightsError(f"{path} holds no settings or no tensors. Export it again.")
    return resolve_references(cfg, str(path), _SECTIONS), content["best_state"]


def _text_config(folder: Path, name: str, path: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise WeightsError(
            f"{path} reads its text with {name}, which is not in it. Put that repository's config.json, "
            f"model.safetensors and tokenizer.json into {folder}."
        )
    content = _read_json(file)
    if content.get("model_type") != "t5" or not isinstance(content.get("d_model"), int):
        raise WeightsError(f"{file} is not of a T5; {path} reads its text with {name}.")
    return content


def _check_halves(
    config: MusicgenConfig, codec: EncodecConfig, tensors: Mapping[str, Any], paths: CheckpointPaths
) -> None:
    """That what lies beside the network is what it was trained with."""
    if _TEXT_PROJECTION in tensors and (wide := tensors[_TEXT_PROJECTION].shape[-1]) != config.text_width:
        raise WeightsError(
            f"{paths.text} holds a text encoder of width {config.text_width}; {paths.model / NETWORK} was trained with "
            f"one of width {wide}."
        )
    for what, ours, theirs in (
        ("Hz", config.sample_rate, codec.sample_rate),
        ("codebooks", config.codebooks, codec.codebooks),
        ("codes a codebook", config.vocabulary, codec.codebook_size),
    ):
        if ours != theirs:
            raise WeightsError(f"{paths.model / NETWORK} is for {ours} {what}; its codec has {theirs}.")


def _hub_tensors(
    folder: Path, rename: Callable[[str], str | None], dtype: torch.dtype, device: torch.device
) -> Checkpoint | StateDict:
    """Tensors of a folder that transformers saved, as safetensors or, before 2023, by torch.save."""
    if any(folder.glob("*.safetensors")):
        return Checkpoint(folder, dtype, device, rename)
    files = sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise WeightsError(f"{folder} holds no model.safetensors. Fetch it again.")
    tensors: dict[str, Any] = {}
    for file in files:
        for name, tensor in read_torch_file(file).items():
            if (new := rename(name)) is not None:
                tensors.setdefault(new, tensor)
    return StateDict(tensors, str(folder), dtype, device)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}). Fetch it again.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no settings. Fetch it again.")
    return content
