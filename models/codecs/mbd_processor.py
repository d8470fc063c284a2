"""From the space in which a band was diffused back to its audio: every mel band gets its own level again.

Training scaled the mel bands of its audio to the power that Gaussian noise has there, by sums over the first samples
it saw; the sums are in the checkpoint. Knows no network and no noise.

Source: arXiv:2308.02560; audiocraft/modules/diffusion_schedule.py, MultiBandProcessor.
"""

import torch
from torch import Tensor

from models.codecs.mbd_bands import BandSplit, low_pass_filters
from models.codecs.mbd_config import ProcessorConfig
from models.decoding.checkpoint import TensorSource
from models.errors import WeightsError


class MultiBandProcessor:
    """gains [bands] by which return_sample multiplies the mel bands, and the constant that it adds."""

    def __init__(self, split: BandSplit, gains: Tensor, offset: float) -> None:
        self._split = split
        self._gains = gains
        self._offset = offset

    @classmethod
    def load(cls, config: ProcessorConfig, tensors: TensorSource, sample_rate: int) -> "MultiBandProcessor":
        """Read the sums of training and the filters, which the checkpoint keeps too; raises WeightsError."""
        bands = config.bands
        count = tensors.take("counts", 1)
        mean = tensors.take("sum_x", bands) / count
        variance = tensors.take("sum_x2", bands) / count - mean.square()
        target = tensors.take("sum_target_x2", bands) / count
        filters = low_pass_filters(bands, sample_rate).to(count)
        if bands > 1:
            filters = tensors.take("split_bands.lowpass.filters", bands - 1, 1, filters.shape[1])[:, 0]
        # The target is a power where a standard deviation is meant; so it was trained, and so it has to be undone.
        gains = (variance.clamp(min=0).sqrt() / target) ** torch.tensor(config.power_std).to(count)
        if not gains.isfinite().all():
            raise WeightsError(
                "The band processor's sums give no finite level (counts 0?). Fetch the checkpoint again."
            )
        return cls(BandSplit(filters), gains, mean.sum().item())

    def return_sample(self, z: Tensor) -> Tensor:
        """[C, L] as it was diffused → audio [C, L]."""
        return self._split.mix(z, self._gains) + self._offset


def equalise(audio: Tensor, reference: Tensor, split: BandSplit) -> Tensor:
    """Give each mel band of audio [C, L] the standard deviation it has in reference [C, L], channel by channel.

    A band in which `audio` is silent stays so. L is 0 or at least 2.
    """
    assert audio.shape == reference.shape, (audio.shape, reference.shape)
    if audio.shape[1] == 0:
        return audio
    deviations, wanted = split.deviations(audio), split.deviations(reference)
    return split.mix(audio, torch.where(deviations > 0, wanted / deviations, 0.0))
