"""What follows from a codec's config.json, checked against transformers' codec and the published file."""

import json
from pathlib import Path

import pytest
import torch
from codecs_fixtures import HOP, REAL_STRIDES, SMALL_STRIDES, hf_dac
from transformers import DacConfig as HFDacConfig
from transformers import DacModel

from models.codecs.dac_config import DacConfig
from models.codecs.dac_network import build_decoder, build_encoder
from models.codecs.dac_quantiser import Quantiser
from models.errors import WeightsError

# descript/dac_44khz: the fields of its config.json, and the size of its model.safetensors.
PUBLISHED = {
    "codebook_dim": 8,
    "codebook_size": 1024,
    "decoder_hidden_size": 1536,
    "downsampling_ratios": [2, 4, 8, 8],
    "encoder_hidden_size": 64,
    "hidden_size": 1024,
    "hop_length": 512,
    "model_type": "dac",
    "n_codebooks": 9,
    "quantizer_dropout": 0.0,
    "sampling_rate": 44100,
    "upsampling_ratios": [8, 8, 4, 2],
}
PUBLISHED_BYTES = 306_507_276


class NamesOnly:
    """Stands in for a file: hands out tensors without memory and remembers what was asked for."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def take(self, name: str, *shape: int) -> torch.Tensor:
        assert name not in self.shapes, name
        self.shapes[name] = shape
        return torch.empty(shape, device="meta")


def config_of(directory: Path, **changes: object) -> DacConfig:
    path = directory / "config.json"
    path.write_text(json.dumps({**PUBLISHED, **changes}))
    return DacConfig.from_file(path)


def shapes_asked_for(config: DacConfig) -> dict[str, tuple[int, ...]]:
    tensors = NamesOnly()
    for build in (Quantiser, build_encoder, build_decoder):
        build(config, tensors, torch.device("meta"), torch.float32)
    return tensors.shapes


def test_the_published_codec_has_10_frames_of_context(tmp_path):
    config = config_of(tmp_path)
    assert (config.hop_length, config.latent_width, config.context_frames) == (512, 1024, 10)
    assert config.frame_rate == pytest.approx(86.13, abs=0.01)


def test_the_tensors_asked_for_are_those_of_the_published_file_to_the_byte(tmp_path):
    shapes = shapes_asked_for(config_of(tmp_path))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    size = 0
    for name, shape in sorted(shapes.items()):
        end = size + 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [size, end]}
        size = end
    head = len(json.dumps(header, separators=(",", ":")))
    assert 8 + (head + 7) // 8 * 8 + size == PUBLISHED_BYTES


def test_the_tensors_asked_for_are_those_of_transformers(tmp_path):
    with torch.device("meta"):
        theirs = DacModel(HFDacConfig(sampling_rate=44_100)).state_dict()
    assert shapes_asked_for(config_of(tmp_path)) == {name: tuple(t.shape) for name, t in theirs.items()}


@pytest.mark.parametrize("strides", [REAL_STRIDES, SMALL_STRIDES, (2, 6)])
def test_a_frame_reaches_as_many_samples_as_the_lookahead_says(tmp_path, strides):
    """A latent that is not a number makes exactly the samples that depend on it not a number, however faintly."""
    config = config_of(tmp_path, downsampling_ratios=list(strides))
    hop, frame = config.hop_length, config.context_frames + 2
    model = hf_dac(strides)
    latents = torch.zeros(1, model.config.hidden_size, 2 * frame + 1)
    latents[..., frame] = torch.nan
    reached = torch.nonzero(model.decode(latents).audio_values[0].isnan())
    assert reached.min() == frame * hop - config.lookahead
    assert reached.max() == (frame + 1) * hop + config.lookahead - 1
    assert reached.numel() == hop + 2 * config.lookahead


@pytest.mark.parametrize("strides", [REAL_STRIDES, SMALL_STRIDES, (2, 6)])
def test_a_frame_of_the_encoder_hears_as_many_samples_as_its_context_says(tmp_path, strides):
    config = config_of(tmp_path, downsampling_ratios=list(strides))
    hop, frame = config.hop_length, config.encoder_first_frames + 1

    def heard(sample: int) -> bool:
        audio = torch.zeros(1, 1, (2 * frame + 1) * hop)
        audio[..., sample] = torch.nan
        return bool(hf_dac(strides).encoder(audio)[..., frame].isnan().any())

    first, last = frame * hop - config.encoder_context, (frame + 1) * hop - 1 + config.encoder_context
    assert [heard(i) for i in (first - 1, first, last, last + 1)] == [False, True, True, False]


def test_small_strides_make_the_same_hop(tmp_path):
    config = config_of(tmp_path, downsampling_ratios=list(SMALL_STRIDES))
    assert (config.hop_length, config.context_frames) == (HOP, 30)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "encodec"}, "model_type is 'encodec'"),
        ({"n_codebooks": "nine"}, "n_codebooks is 'nine'"),
        ({"sampling_rate": None}, "sampling_rate is None"),
        ({"codebook_size": 0}, "codebook_size is 0"),
        ({"downsampling_ratios": 8}, "downsampling_ratios is 8"),
        ({"downsampling_ratios": [2, 4, 5, 8]}, "stride 5 is odd"),
        ({"decoder_hidden_size": 1000}, "1000 cannot be halved 4 times"),
    ],
)
def test_a_config_that_cannot_be_run_is_refused_by_field(tmp_path, changes, words):
    with pytest.raises(WeightsError, match=words):
        config_of(tmp_path, **changes)


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_a_config_that_cannot_be_read_is_refused(tmp_path, text):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json"):
        DacConfig.from_file(path)
