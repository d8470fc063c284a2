"""The way back from noise to sound: which steps are taken, and what each does with a network's estimate of the noise.

Denoising diffusion (arXiv:2006.11239) over 20 of the 1000 steps of training, numbers in float32 as in training. Knows
no network and no randomness: noise is handed in.

Source: arXiv:2308.02560; audiocraft/modules/diffusion_schedule.py, NoiseSchedule.generate_subsampled.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.codecs.mbd_config import TRAINED_STEPS, ScheduleConfig

STRIDE = 50  # of the decoder's steps in those of training: 999, 949, …, 49


@dataclass(frozen=True)
class ReverseStep:
    """From the samples at one step to those at the next, less noisy one."""

    index: int  # of the step in training, told to the network
    estimate_factor: float  # how much of the estimated noise is taken away
    signal_root: float  # √α: what training had shrunk the signal by since the next step
    fresh_noise: float  # standard deviation of the noise put back; 0 at the last step
    clip: float  # samples stay within ± this; 0 is no limit

    def apply(self, samples: Tensor, estimate: Tensor, noise: Tensor | None) -> Tensor:
        """samples and the estimate of their noise, both [C, L] → [C, L]; `noise` is normal, None where none is put
        back. Overwrites the estimate."""
        less = torch.sub(samples, estimate.mul_(self.estimate_factor), out=estimate).div_(self.signal_root)
        if noise is not None:
            less += noise * self.fresh_noise
        return less.clamp_(-self.clip, self.clip) if self.clip else less


class NoiseSchedule:
    """steps: from pure noise to the samples. noise_scale: of the noise they begin with."""

    def __init__(self, config: ScheduleConfig) -> None:
        self.noise_scale = config.noise_scale
        self.steps = _reverse_steps(config)


def _reverse_steps(config: ScheduleConfig) -> tuple[ReverseStep, ...]:
    first, last = config.beta_t0 ** (1 / config.beta_exp), config.beta_t1 ** (1 / config.beta_exp)
    betas = torch.linspace(first, last, TRAINED_STEPS) ** config.beta_exp
    kept = (1 - betas).cumprod(dim=0)
    indices = list(range(TRAINED_STEPS))[::-STRIDE]
    steps = []
    for index, following in zip(indices, [*indices[1:], 0], strict=True):
        # Near 1 these round by as much as 1e-4 of 1 - α, so they are taken in the order in which audiocraft takes them.
        alpha = 1 - (1 - kept[index] / kept[following])
        noisy, cleaner = (1 - (1 - betas[: step + 1]).prod() for step in (index, following))
        # The last step leaves no noise, rather than what step 0 of training still had.
        fresh = cleaner / noisy * (1 - alpha) if following else torch.zeros(())
        steps.append(
            ReverseStep(
                index=index,
                estimate_factor=float((1 - alpha) / noisy.sqrt() * config.noise_scale),
                signal_root=float(alpha.sqrt()),
                fresh_noise=float(fresh.sqrt() * config.noise_scale),
                clip=config.clip,
            )
        )
    return tuple(steps)
