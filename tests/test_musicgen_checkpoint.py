"""Both formats of a checkpoint against the classes that made them: every setting, every tensor, every mistake."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from audiocraft_fixtures import old_weight_norm
from musicgen_files_fixtures import (
    CODES,
    KINDS,
    TEXT_WIDTH,
    WIDTH,
    XP_CODEC,
    audiocraft_codec,
    codec_config,
    export,
    hub_model,
    network_cfg,
    t5_config,
    write_audiocraft,
    write_hub,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import EncodecModel, T5EncoderModel

from models.errors import WeightsError
from models.musicgen.checkpoint import MusicgenCheckpoint, open_checkpoint
from models.musicgen.text import TextEncoder
from models.weights.disk import CheckpointPaths, paths_in

pytestmark = old_weight_norm
UNUSED = (".embed_avg", ".cluster_size", ".inited", "encoder.embed_tokens.weight")


def take_all(source: Any, names: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor of these names and shapes that a network reads."""
    return {
        name: source.take(name, *tensor.shape, dtype=torch.float32)
        for name, tensor in names.items()
        if not name.endswith(UNUSED)
    }


def taken(checkpoint: MusicgenCheckpoint, model: Any) -> dict[str, Tensor]:
    """All tensors of a checkpoint under the names of transformers' whole model."""
    network = {name: t for name, t in model.state_dict().items() if not name.startswith(("text_enc", "audio_encoder"))}
    found = take_all(checkpoint.language_model, network)
    for prefix, source, part in (
        ("audio_encoder.", checkpoint.codec, model.audio_encoder),
        ("text_encoder.", checkpoint.text, model.text_encoder),
    ):
        found |= {prefix + name: tensor for name, tensor in take_all(source, part.state_dict()).items()}
    return found


def assert_same(found: dict[str, Tensor], model: Any) -> None:
    wanted = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(UNUSED)}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


class _Looked(Exception):
    """Ends a look."""


@contextmanager
def peek(paths: CheckpointPaths, dtype: torch.dtype = torch.float32) -> Iterator[MusicgenCheckpoint]:
    """A checkpoint to look at: that tensors of it are left over is no matter."""
    with suppress(_Looked), open_checkpoint(paths, dtype) as checkpoint:
        yield checkpoint
        raise _Looked


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_transformers_saved_is_read_whole(kind, tmp_path):
    model, paths = write_hub(tmp_path, kind)
    with open_checkpoint(paths) as checkpoint:
        assert_same(taken(checkpoint, model), model)
    config, codec = checkpoint.config, checkpoint.codec_config
    assert (config.name, config.melody, config.channels) == (f"musicgen-{kind}", kind == "melody", codec.channels)
    assert (config.codebooks, config.vocabulary, config.width) == (codec.codebooks, CODES, WIDTH)
    assert (config.text_width, config.sample_rate, codec.mirrored) == (TEXT_WIDTH, 32_000, False)
    assert (checkpoint.text_folder, checkpoint.text_config["d_model"]) == (paths.model, TEXT_WIDTH)


def test_shards_are_read_as_one(tmp_path):
    model, paths = write_hub(tmp_path, "mono", max_shard_size="40KB")
    assert len(list(paths.model.glob("*.safetensors"))) > 2
    with open_checkpoint(paths) as checkpoint:
        assert_same(taken(checkpoint, model), model)


def _as_in_2023(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that transformers 4.31 gave: weight norm of its day, a table of positions, both names of a tied one."""
    renamed = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in state.items()
    }
    return renamed | {
        "decoder.model.decoder.embed_positions.weights": torch.zeros(9, WIDTH),
        "text_encoder.encoder.embed_tokens.weight": state["text_encoder.shared.weight"].clone(),
    }


def test_the_names_of_older_files_are_understood(tmp_path):
    model, paths = write_hub(tmp_path, "mono")
    file = paths.model / "model.safetensors"
    save_file(_as_in_2023(load_file(file)), file, metadata={"format": "pt"})
    with open_checkpoint(paths) as checkpoint:
        assert_same(taken(checkpoint, model), model)


def test_a_folder_from_before_safetensors_is_read(tmp_path):
    model, paths = write_hub(tmp_path, "mono")
    file = paths.model / "model.safetensors"
    state = _as_in_2023(load_file(file))
    names = sorted(state)
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        torch.save({name: state[name] for name in part}, paths.model / f"pytorch_model-0000{number}-of-00002.bin")
    file.unlink()
    with open_checkpoint(paths) as checkpoint:
        assert_same(taken(checkpoint, model), model)


def test_a_tensor_that_has_no_place_is_named(tmp_path):
    model, paths = write_hub(tmp_path, "mono")
    file = paths.model / "model.safetensors"
    save_file(load_file(file) | {"decoder.strange.weight": torch.zeros(1)}, file, metadata={"format": "pt"})
    with (
        pytest.raises(WeightsError, match=r"holds 1 tensors .*decoder\.strange\.weight"),
        open_checkpoint(paths) as one,
    ):
        taken(one, model)


@pytest.fixture(scope="module", params=[*KINDS, "torch's attention"])
def exported(request, tmp_path_factory):
    """(kind, audiocraft's network, its codec, where they are)."""
    custom = request.param in KINDS
    kind = request.param if custom else "mono"
    return kind, *write_audiocraft(tmp_path_factory.mktemp(kind), kind, custom=custom)


@pytest.fixture
def mono(tmp_path) -> CheckpointPaths:
    """A folder of audiocraft's to spoil."""
    return write_audiocraft(tmp_path, "mono")[2]


def _open(paths: CheckpointPaths) -> None:
    with open_checkpoint(paths):
        pass


def test_a_folder_that_audiocraft_exported_has_its_settings(exported):
    kind, network, _, paths = exported
    with peek(paths) as checkpoint:
        config, codec = checkpoint.config, checkpoint.codec_config
    assert (config.layers, config.width, config.heads, config.ffn) == (2, WIDTH, 2, 4 * WIDTH)
    assert list(config.delays) == network.pattern_provider.delays
    assert (config.codebooks, config.channels, codec.codebooks) == (network.n_q, codec.channels, network.n_q)
    assert (config.melody, config.chroma_length) == ((True, 235) if kind == "melody" else (False, 0))
    assert (config.frame_rate, config.max_frames, config.stride_seconds) == (50, 1500, 18)
    assert (config.text_width, checkpoint.text_folder) == (TEXT_WIDTH, paths.text)


def test_what_audiocraft_exported_computes_the_same_in_transformers_network(exported):
    """Every rename at once: one that is wrong gives other numbers, one that is missing is an error."""
    kind, network, _, paths = exported
    model: Any = hub_model(kind)
    with open_checkpoint(paths) as checkpoint:
        model.load_state_dict(taken(checkpoint, model), strict=False)
    codes = torch.randint(0, CODES, (1, network.n_q, 6), generator=torch.Generator().manual_seed(1))
    text, chroma = (torch.randn(1, length, width) for length, width in ((5, TEXT_WIDTH), (7, 12)))
    providers = network.condition_provider.conditioners
    with torch.no_grad():
        states = model.enc_to_dec_proj(text)
        torch.testing.assert_close(states, providers["description"].output_proj(text))
        conditions = {"description": (states, torch.ones(1, 5))}
        if kind == "melody":
            melody = model.audio_enc_to_dec_proj(chroma)
            torch.testing.assert_close(melody, providers["self_wav"].output_proj(chroma))
            conditions["self_wav"] = (melody, torch.ones(1, 7))
            states = torch.cat([melody, states], 1)
        theirs = network(codes, [], condition_tensors=conditions)  # [B, K, T, V]
        ours = model.decoder(codes[0], encoder_hidden_states=states).logits[:, -6:]  # [B * K, T, V]
    torch.testing.assert_close(ours, theirs[0], atol=1e-5, rtol=1e-5)


def test_what_audiocraft_exported_sounds_the_same_in_transformers_codec(exported):
    _, _, codec, paths = exported
    model: Any = EncodecModel(codec_config()).eval()
    with peek(paths) as checkpoint:
        model.load_state_dict(take_all(checkpoint.codec, model.state_dict()), strict=False)
    audio = torch.randn(1, 1, 3200, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        codes, _ = codec.encode(audio)  # [B, K, T]
        assert torch.equal(model.encode(audio).audio_codes[0], codes)
        torch.testing.assert_close(model.decode(codes[None], [None]).audio_values, codec.decode(codes))


def test_the_text_encoder_beside_an_export_is_read_without_its_decoder(exported):
    paths = exported[3]
    with peek(paths) as checkpoint:
        text = TextEncoder.load(checkpoint.text, checkpoint.text_config, checkpoint.text_folder)
    peer = T5EncoderModel.from_pretrained(paths.text)
    ids = torch.tensor([text.tokens("a slow waltz")])
    with torch.no_grad():
        torch.testing.assert_close(text.encode("a slow waltz"), peer(ids).last_hidden_state[0])


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_how_a_codec_pads_comes_from_its_own_settings(pad_mode, mono):
    """A wrong one loads without a word and sounds nearly right."""
    cfg = XP_CODEC | {"seanet": XP_CODEC["seanet"] | {"pad_mode": pad_mode}}
    export(mono.model / "compression_state_dict.bin", cfg, audiocraft_codec())
    with peek(mono) as checkpoint:
        assert checkpoint.codec_config.mirrored == (pad_mode == "reflect")


def _point(paths: CheckpointPaths, name: str) -> None:
    torch.save({"pretrained": name, "exported": True}, paths.model / "compression_state_dict.bin")


def test_a_codec_that_is_only_named_is_read_from_beside(mono):
    model = EncodecModel(codec_config("reflect"))
    model.save_pretrained(mono.codec)
    _point(mono, "facebook/encodec_32khz")
    with peek(mono) as checkpoint:
        found = take_all(checkpoint.codec, model.state_dict())
        assert checkpoint.codec_config.mirrored
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in found.items())


def test_a_codec_that_is_named_and_not_there_is_told_with_its_place(mono):
    _point(mono, "facebook/encodec_32khz")
    with pytest.raises(WeightsError, match=r"says that its codec is 'facebook/encodec_32khz'. Put .* into .*codec;"):
        _open(mono)


def test_a_text_encoder_that_is_not_there_is_told_with_its_place(mono):
    (mono.text / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"reads its text with t5-small.*Put .*tokenizer\.json into .*text\."):
        _open(mono)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"model_type": "bert"}', "is not of a T5; .* with t5-small"),
        ('{"model_type": "t5"}', "is not of a T5"),
        ("[]", "holds no settings"),
        ("{", "cannot be read"),
    ],
)
def test_a_text_encoder_of_another_kind_is_told(content, named, mono):
    (mono.text / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=named):
        _open(mono)


def test_another_text_encoder_than_it_was_trained_with_is_told(mono):
    config = t5_config().to_dict() | {"d_model": 48}
    (mono.text / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"width 48; .* was trained with one of width 24"):
        _open(mono)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("rvq.n_q", 8, "is for 4 codebooks; its codec has 8"),
        ("rvq.bins", 32, "is for 64 codes a codebook; its codec has 32"),
        ("sample_rate", 16_000, "is for 32000 Hz; its codec has 16000"),
        ("seanet.novelty", 1, "seanet.novelty is a setting that is not supported"),
        ("seanet.channels", "${nowhere}", "refers to nowhere"),
    ],
)
def test_a_codec_of_another_network_is_told(path, value, named, mono):
    *sections, key = path.split(".")
    part = whole = deepcopy(XP_CODEC)
    for section in sections:
        part = part[section]
    part[key] = value
    export(mono.model / "compression_state_dict.bin", whole, audiocraft_codec())
    with pytest.raises(WeightsError, match=named):
        _open(mono)


def _content(paths: CheckpointPaths) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(paths.model / "state_dict.bin", weights_only=True)
    return content


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"xp.cfg": "a: ["}, "xp.cfg is no YAML"),
        ({"xp.cfg": "word"}, "holds no settings"),
        ({"xp.cfg": 5}, "xp.cfg is no YAML"),
        ({"best_state": 5}, "holds no settings or no tensors"),
    ],
)
def test_an_export_that_is_none_is_told(change, named, mono):
    torch.save(_content(mono) | change, mono.model / "state_dict.bin")
    with pytest.raises(WeightsError, match=named):
        _open(mono)


@pytest.mark.parametrize("key", ["best_state", "xp.cfg"])
def test_a_file_of_training_instead_of_an_export_is_told(key, mono):
    content = _content(mono)
    del content[key]
    torch.save(content, mono.model / "state_dict.bin")
    with pytest.raises(WeightsError, match=f"has no {key}; only what audiocraft/utils/export.py writes"):
        _open(mono)


def test_a_tensor_that_no_network_has_is_named(mono):
    """A fine-tune of another architecture: its tensors must not be passed over."""
    content = _content(mono)
    content["best_state"]["transformer.layers.0.layer_scale_1.scale"] = torch.ones(WIDTH)
    torch.save(content, mono.model / "state_dict.bin")
    with pytest.raises(WeightsError, match=r"1 tensors that no network .*layers\.0\.layer_scale_1\.scale"):
        _open(mono)


def test_a_setting_that_ours_does_not_have_is_named(mono):
    cfg = network_cfg("mono")
    cfg["transformer_lm"]["layer_scale"] = 0.1
    omegaconf = pytest.importorskip("omegaconf")
    torch.save(_content(mono) | {"xp.cfg": omegaconf.OmegaConf.to_yaml(cfg)}, mono.model / "state_dict.bin")
    with pytest.raises(WeightsError, match=r"transformer_lm\.layer_scale is 0\.1; only None is supported"):
        _open(mono)


def test_of_a_folder_with_both_formats_the_one_without_pickles_is_read(tmp_path):
    """The published folders hold both."""
    model, paths = write_hub(tmp_path, "mono")
    for name in ("state_dict.bin", "compression_state_dict.bin"):
        (paths.model / name).write_bytes(b"not read")
    with open_checkpoint(paths) as checkpoint:
        assert_same(taken(checkpoint, model), model)


def test_a_folder_of_neither_format_is_told_what_both_are(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"neither config\.json with model\.safetensors.*nor state_dict\.bin with"):
        _open(paths_in(tmp_path, "musicgen-small"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_network_comes_in_the_dtype_that_is_asked_for(dtype, tmp_path):
    model, paths = write_hub(tmp_path, "mono")
    with peek(paths, dtype) as checkpoint:
        weight = checkpoint.language_model.take("decoder.lm_heads.0.weight", CODES, WIDTH)
    assert weight.dtype == dtype
    assert torch.equal(weight, model.state_dict()["decoder.lm_heads.0.weight"].to(dtype))
