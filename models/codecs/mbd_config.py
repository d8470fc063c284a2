"""The shape of a Multi-Band Diffusion decoder, read from the settings that audiocraft kept beside each band's weights.

Knows no tensors and no file: settings are plain dicts here, of the sections `diffusion_unet`, `schedule`, `processor`,
`resampling` and the number `channels`. What a setting means is audiocraft's (models/unet.py, modules/
diffusion_schedule.py, models/builders.py, config/solver/diffusion/default.yaml); one that nobody knows is an error that
names it. Settings of the training (data, loss, which band was cut out, dropout) change nothing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from models.codecs.mbd_settings import Settings
from models.weights.references import resolve_references

TRAINED_STEPS = 1000  # of the noise schedule; the decoder's own steps are among them
TRANSFORMER_HEADS = 8

_SECTIONS = ("diffusion_unet", "schedule", "processor", "resampling")

# The section `schedule` is two in one: every solver keeps that of its learning rate there too (config/solver/
# default.yaml), and NoiseSchedule passes over what it does not know.
_LEARNING_RATE = ("lr_scheduler", "step", "exponential", "cosine", "polynomial_decay", "inverse_sqrt", "linear_warmup")


@dataclass(frozen=True)
class UnetConfig:
    """A U-Net over samples: `depth` levels, each `stride` times shorter and, up to a limit, `growth` times wider."""

    hidden: int = 24  # channels of the first level
    depth: int = 3
    growth: float = 2.0
    max_channels: int = 10_000
    kernel: int = 4
    stride: int = 2
    res_blocks: int = 1  # of a level, on each side
    norm_groups: int = 4
    emb_all_layers: bool = False  # the diffusion step is told to every level, not to the first alone
    codec_dim: int = 128  # of the codec's latents, which come in at the bottleneck
    bilstm: bool = False
    transformer: bool = False
    cross_attention: bool = False  # the transformer attends to the latents, which are otherwise added

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from the samples' side."""
        widths = [self.hidden]
        while len(widths) < self.depth:
            widths.append(min(int(widths[-1] * self.growth), self.max_channels))
        return tuple(widths)

    @property
    def attends(self) -> bool:
        """Whether the latents are attended to, rather than added."""
        return self.transformer and self.cross_attention

    @property
    def reduction(self) -> int:
        """Samples that one row of the bottleneck stands for."""
        return int(self.stride**self.depth)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raises WeightsError, as every `from_settings` here."""
        config = cls(
            hidden=settings.whole("hidden", cls.hidden),
            depth=settings.whole("depth", cls.depth),
            growth=settings.number("growth", cls.growth),
            max_channels=settings.whole("max_channels", cls.max_channels),
            kernel=settings.whole("kernel", cls.kernel),
            stride=settings.whole("stride", cls.stride),
            res_blocks=settings.whole("res_blocks", cls.res_blocks),
            norm_groups=settings.whole("norm_groups", cls.norm_groups),
            emb_all_layers=settings.flag("emb_all_layers", cls.emb_all_layers),
            codec_dim=settings.whole("codec_dim"),
            bilstm=settings.flag("bilstm", cls.bilstm),
            transformer=settings.flag("transformer", cls.transformer),
            cross_attention=settings.flag("cross_attention", cls.cross_attention),
        )
        settings.number("dropout", 0.0)  # of training
        settings.done()
        config._check(settings)
        return config

    def _check(self, settings: Settings) -> None:
        if self.kernel < self.stride or (self.kernel - self.stride) % 2:
            settings.refuse("kernel", f"is {self.kernel} at stride {self.stride}; it must be longer by an even number")
        bad = [width for width in self.widths if width < 1 or width % self.norm_groups]
        if bad:
            settings.refuse("norm_groups", f"is {self.norm_groups}, which does not divide the {bad[0]} channels")
        if self.transformer and self.bilstm:
            settings.refuse("bilstm", "is true, and so is transformer; there is one place for the two")
        if self.transformer and self.widths[-1] % TRANSFORMER_HEADS:
            settings.refuse(
                "transformer", f"has {TRANSFORMER_HEADS} heads, which {self.widths[-1]} channels cannot feed"
            )


@dataclass(frozen=True)
class ScheduleConfig:
    """How much noise training added at each of its steps, and what the way back does."""

    beta_t0: float = 1e-4  # variance added at the first step
    beta_t1: float = 0.02  # at the last one
    beta_exp: float = 1.0  # the root of the variance at this exponent rises evenly
    clip: float = 5.0  # samples stay within ± this; 0 is no limit
    noise_scale: float = 1.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        config = cls(
            beta_t0=settings.number("beta_t0", cls.beta_t0),
            beta_t1=settings.number("beta_t1", cls.beta_t1),
            beta_exp=settings.number("beta_exp", cls.beta_exp),
            clip=settings.number("clip", cls.clip, none=0.0),
            noise_scale=settings.number("noise_scale", cls.noise_scale),
        )
        settings.only("repartition", "power", default="power")
        settings.only("num_steps", TRAINED_STEPS, default=TRAINED_STEPS)
        settings.only("n_bands", None, default=None)
        # Of training, and of a way back through every step: the decoder's takes the posterior's variance, and never
        # does step 0, after which alone `rescale` counts.
        settings.ignore("variable_step_batch", "variance", "rescale", "alpha_sigmoid")
        settings.ignore(*_LEARNING_RATE)
        settings.done()
        config._check(settings)
        return config

    def _check(self, settings: Settings) -> None:
        if not 0 < self.beta_t0 <= self.beta_t1 < 1:
            settings.refuse("beta_t0", f"is {self.beta_t0} and beta_t1 {self.beta_t1}; they must rise between 0 and 1")
        if self.beta_exp <= 0:
            settings.refuse("beta_exp", f"is {self.beta_exp}; it must be above 0")


@dataclass(frozen=True)
class ProcessorConfig:
    """Of the sample processor that scales `bands` mel bands."""

    bands: int
    power_std: tuple[float, ...]  # one exponent, or one a band: 1 is full correction of the level, 0 none

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """None where the audio was diffused as it is."""
        if not settings.flag("use", False):
            return None
        settings.only("name", "multi_band_processor")
        config = cls(settings.whole("n_bands", 8), settings.numbers("power_std", 1.0))
        settings.ignore("num_samples")  # until which training summed up
        settings.done()
        if len(config.power_std) not in (1, config.bands):
            settings.refuse("power_std", f"has {len(config.power_std)} numbers for {config.bands} bands")
        return config

    def exponents(self, like: Tensor) -> Tensor:
        """power_std as a tensor [1] or [bands]."""
        return torch.tensor(self.power_std).to(like)


@dataclass(frozen=True)
class BandConfig:
    """One of the diffusion models, which together make the audio."""

    unet: UnetConfig
    schedule: ScheduleConfig
    processor: ProcessorConfig | None

    @classmethod
    def from_settings(cls, fields: Mapping[str, Any], origin: str) -> Self:
        """`fields` is the whole tree that audiocraft keeps as `cfg`; `origin` says where it is, for errors."""
        # What else is in it may refer to anything: it is of the machine and the data of the training.
        own = {key: value for key, value in fields.items() if key in _SECTIONS or not isinstance(value, Mapping)}
        root = Settings(resolve_references(own, origin), origin)
        root.only("channels", 1)
        resampling = root.section("resampling", optional=True)
        resampling.only("use", False, default=False)
        return cls(
            UnetConfig.from_settings(root.section("diffusion_unet")),
            ScheduleConfig.from_settings(root.section("schedule")),
            ProcessorConfig.from_settings(root.section("processor", optional=True)),
        )
