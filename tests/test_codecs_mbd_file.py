"""Loading Multi-Band Diffusion: what the file says is read, and what does not fit is refused by its name."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from mbd_fixtures import (
    SAMPLE_RATE,
    TinyCodec,
    band,
    checkpoint,
    random_codes,
    save_mbd,
    seeded,
    settings,
)

from models.codecs.mbd import MultiBandDiffusion
from models.codecs.mbd_config import BandConfig
from models.codecs.mbd_file import read_bands
from models.errors import WeightsError


def load(path: Path) -> MultiBandDiffusion:
    return MultiBandDiffusion.load(path, TinyCodec(), device="cpu")


def test_the_settings_of_the_published_networks_are_read():
    """Sizes of config/model/score/basic.yaml, with two residual blocks: 286.4 million weights a band, which makes the
    4.58 GB of the published files."""
    unet = BandConfig.from_settings(
        settings(diffusion_unet__hidden=48, diffusion_unet__depth=4, diffusion_unet__growth=4), "tiny"
    ).unet
    assert unet.widths == (48, 192, 768, 3072)
    assert unet.reduction == 256


def test_settings_that_are_not_there_are_audiocraft_s_defaults():
    bare = {"channels": 1, "diffusion_unet": {"codec_dim": 128}, "schedule": {}}
    config = BandConfig.from_settings(bare, "tiny")
    assert (config.unet.widths, config.unet.kernel, config.unet.stride) == ((24, 48, 96), 4, 2)
    assert (config.schedule.beta_t0, config.schedule.beta_t1, config.schedule.clip) == (1e-4, 0.02, 5.0)
    assert config.processor is None


def test_a_setting_may_refer_to_another():
    assert BandConfig.from_settings(settings(diffusion_unet__codec_dim="${n_q}"), "tiny").unet.codec_dim == 3


REFUSED = {
    "diffusion_unet.attention is a setting that is not supported": {"diffusion_unet__attention": 3},
    "schedule.cosine_t is a setting that is not supported": {"schedule__cosine_t": 0.5},
    "processor.mode is a setting that is not supported": {"processor__mode": "new"},
    "channels is 2; it must be 1": {"channels": 2},
    "diffusion_unet is None; it must be a group of settings": {"diffusion_unet": ...},
    "schedule is 3; it must be a group of settings": {"schedule": 3},
    "codec_dim is None; it must be a whole number": {"diffusion_unet__codec_dim": None},
    "depth is 2.5; it must be a whole number": {"diffusion_unet__depth": 2.5},
    "growth is 'fast'; it must be a number": {"diffusion_unet__growth": "fast"},
    "bilstm is 1; it must be true or false": {"diffusion_unet__bilstm": 1},
    "there is one place for the two": {"diffusion_unet__bilstm": True, "diffusion_unet__transformer": True},
    "kernel is 7; it must be longer by an even number than the stride, 4": {"diffusion_unet__kernel": 7},
    "norm_groups is 5; it must be a divisor of each level's channels, 8": {"diffusion_unet__norm_groups": 5},
    "12 channels do not feed 8 heads": {"diffusion_unet__transformer": True, "diffusion_unet__max_channels": 12},
    "repartition is 'cosine'; it must be 'power'": {"schedule__repartition": "cosine"},
    "num_steps is 500; it must be 1000": {"schedule__num_steps": 500},
    "n_bands is 4; it must be None": {"schedule__n_bands": 4},
    "beta_t0 is 0.5; it must be above 0 and at most beta_t1, 0.004": {"schedule__beta_t0": 0.5},
    "beta_exp is 0; it must be above 0": {"schedule__beta_exp": 0},
    "clip is nan; it must be a number": {"schedule__clip": float("nan")},
    "name is 'another'; it must be 'multi_band_processor'": {"processor__name": "another"},
    "power_std is [1, 1, 1]; it must be one number, or one for each of the 4": {"processor__power_std": [1, 1, 1]},
    "power_std is []; it must be a number or a list of numbers": {"processor__power_std": []},
    "resampling.use is True; it must be False": {"resampling__use": True},
    "codec_dim refers to nowhere": {"diffusion_unet__codec_dim": "${nowhere}"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_setting_that_is_not_supported_is_named(said):
    with pytest.raises(WeightsError) as error:
        BandConfig.from_settings(settings(**REFUSED[said]), "mbd.th, band 0")
    assert said in str(error.value)
    assert "mbd.th, band 0" in str(error.value)


def test_an_unknown_setting_that_is_off_changes_nothing():
    off = settings(diffusion_unet__new=False, schedule__newer=None, processor__newest={})
    assert BandConfig.from_settings(off, "tiny") == BandConfig.from_settings(settings(), "tiny")


def test_no_clip_may_be_said_as_null():
    assert BandConfig.from_settings(settings(schedule__clip=None), "tiny").schedule.clip == 0


def test_a_tensor_that_does_not_fit_is_named_with_its_band(tmp_path):
    contents = checkpoint()
    contents[1]["model_state"].pop("encoders.1.conv.weight")
    with pytest.raises(WeightsError, match=r"mbd_tiny.th, band 1 has no tensor encoders\.1\.conv\.weight"):
        load(save_mbd(tmp_path, contents))
    contents = checkpoint()
    contents[0]["model_state"]["stranger"] = torch.zeros(1)
    with pytest.raises(WeightsError, match=r"band 0 holds 1 tensors .* stranger"):
        load(save_mbd(tmp_path, contents))
    contents = checkpoint()
    contents[1]["processor_state"]["sum_x"] = torch.zeros(3)
    with pytest.raises(WeightsError, match=r"band 1, processor: sum_x is \[3\]; its settings ask for \[4\]"):
        load(save_mbd(tmp_path, contents))


def test_a_processor_that_saw_no_samples_is_refused(tmp_path):
    contents = checkpoint()
    contents[1]["processor_state"]["counts"] = torch.zeros(1)
    with pytest.raises(WeightsError, match="no finite level"):
        load(save_mbd(tmp_path, contents))


def test_a_checkpoint_of_another_sample_rate_is_refused(tmp_path):
    contents = checkpoint() | {"sample_rate": 24_000}
    with pytest.raises(WeightsError, match="makes audio of 24000 Hz; the codec has 8000 Hz"):
        load(save_mbd(tmp_path, contents))


def test_a_checkpoint_for_another_codec_is_refused(tmp_path):
    contents = checkpoint() | {1: band(1, diffusion_unet__codec_dim=5)}
    with pytest.raises(WeightsError, match="band 1 reads latents of 5; the codec's are 6 wide"):
        load(save_mbd(tmp_path, contents))


@pytest.mark.parametrize(
    "contents",
    [
        [1, 2],
        {"sample_rate": SAMPLE_RATE},
        {"sample_rate": SAMPLE_RATE, "n_bands": 0},
        {"n_bands": 1, 0: band(1)},
        checkpoint() | {"sample_rate": 0.5},
    ],
    ids=["a list", "no bands", "0 bands", "no rate", "half a hertz"],
)
def test_another_kind_of_file_is_refused(tmp_path, contents):
    torch.save(contents, tmp_path / "other.th")
    with pytest.raises(WeightsError, match=r"other\.th"):
        read_bands(tmp_path / "other.th")


@pytest.mark.parametrize("damage", [None, b"", b"not a file of torch", "cut"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = save_mbd(tmp_path)
    whole = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else damage)
    with pytest.raises(WeightsError, match=r"mbd_tiny\.th cannot be read"):
        read_bands(path)


class Harm:
    """What a hostile file holds: unpickled, it calls something."""

    def __reduce__(self):
        return pickle.loads, (b"",)


def test_nothing_but_tensors_and_settings_is_unpickled(tmp_path):
    contents = checkpoint()
    contents[0]["cfg"]["harm"] = Harm()
    with pytest.raises(WeightsError, match=r"Unsupported|Weights only"):
        read_bands(save_mbd(tmp_path, contents))


@pytest.mark.parametrize("zipped", [True, False])
def test_settings_are_read_from_omegaconf_without_it(tmp_path, zipped):
    omegaconf = pytest.importorskip(
        "omegaconf", reason="omegaconf is not installed: requirements-audiocraft.txt has it"
    )
    cfg = settings(processor__power_std=[0.1, 0.2, 0.3, 0.4])
    contents = checkpoint() | {0: {**band(1), "cfg": omegaconf.OmegaConf.create(cfg)}}
    torch.save(contents, tmp_path / "mbd.th", _use_new_zipfile_serialization=zipped)
    assert zipfile.is_zipfile(tmp_path / "mbd.th") == zipped
    sample_rate, files = read_bands(tmp_path / "mbd.th")
    assert sample_rate == SAMPLE_RATE
    assert files[0].settings == cfg


def test_a_decoder_outlives_its_file(tmp_path):
    """Its weights are copies: a file that is replaced or emptied later changes nothing."""
    path = save_mbd(tmp_path)
    decoder, codes = load(path), random_codes(2)
    before = decoder.decode(codes, seeded(0))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))
    torch.testing.assert_close(decoder.decode(codes, seeded(0)), before, rtol=0, atol=0)
