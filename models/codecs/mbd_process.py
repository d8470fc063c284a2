"""One band of Multi-Band Diffusion: from noise and latents to its share of the audio, step by step.

The samples of every step are kept whole, and so is the noise; only the network looks through windows, and its estimates
are faded together before a step is taken. So windows share all noise and agree about their overlap again at each step.
Knows no codec and no other band.

Source: arXiv:2308.02560; audiocraft/models/multibanddiffusion.py, DiffusionProcess. The windows are ours.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from models.codecs.mbd_processor import MultiBandProcessor
from models.codecs.mbd_schedule import NoiseSchedule
from models.codecs.mbd_unet import DiffusionUnet
from models.codecs.mbd_windows import Window, fades


class DiffusionProcess:
    """A network with its schedule and, where its audio was scaled for training, the processor that undoes it."""

    def __init__(self, unet: DiffusionUnet, schedule: NoiseSchedule, processor: MultiBandProcessor | None) -> None:
        self.unet = unet
        self.schedule = schedule
        self._processor = processor

    def calls(self, windows: Sequence[Window]) -> int:
        """How often `sample` calls the network."""
        return len(windows) * len(self.schedule.steps)

    def sample(
        self,
        latents: Tensor,
        hop_length: int,
        windows: Sequence[Window],
        overlap: int,
        generator: torch.Generator,
        progress: Iterator[float],
    ) -> Generator[float, None, Tensor]:
        """latents [C, D, T] → audio [C, hop·T]; after every call of the network yields the next of `progress`.

        `windows` cover the T frames, each overlapping the next by `overlap`. All channels get the same noise, so that
        equal latents give equal audio.
        """
        C, _, T = latents.shape
        told = self._conditions(latents, hop_length, windows)
        samples = self._noise(T * hop_length, generator).expand(C, -1) * self.schedule.noise_scale
        weights = [fade.to(samples) for fade in fades(windows, overlap, hop_length)]
        for step in self.schedule.steps:
            estimate = torch.zeros_like(samples)
            for window, weight, condition in zip(windows, weights, told, strict=True):
                span = window.samples(hop_length)
                part = self.unet(samples[:, None, span], step.index, condition())
                estimate[:, span] += part[:, 0] * weight
                yield next(progress)
            fresh = self._noise(T * hop_length, generator) if step.fresh_noise else None
            samples = step.apply(samples, estimate, fresh)
        return samples if self._processor is None else self._processor.return_sample(samples)

    def _conditions(self, latents: Tensor, hop_length: int, windows: Sequence[Window]) -> list[Callable[[], Tensor]]:
        """What the network is told in each window, made when it is needed: spread over rows it is large."""
        condition = self.unet.condition(latents)  # [C, D, T]
        if self.unet.config.attends:
            return [partial(condition.narrow, 2, window.start, window.end - window.start) for window in windows]
        frames = self.unet.frame_of_row(latents.shape[2], latents.shape[2] * hop_length)
        spans = (window.samples(hop_length) for window in windows)
        rows = [(span.start // self.unet.config.reduction, self.unet.rows(span.stop - span.start)) for span in spans]
        return [partial(condition.index_select, 2, frames[first : first + count]) for first, count in rows]

    def _noise(self, samples: int, generator: torch.Generator) -> Tensor:
        """[1, samples], drawn where the generator is: the same on every device."""
        return torch.randn(1, samples, generator=generator, device=generator.device).to(self.unet.device)
