"""The shape of a Multi-Band Diffusion decoder, read from the settings that audiocraft kept beside each band's weights.

Knows no tensors and no file: settings are plain dicts here, of the sections `diffusion_unet`, `schedule`, `processor`,
`resampling` and the number `channels`. What a setting means is audiocraft's (models/unet.py, modules/
diffusion_schedule.py, models/builders.py, config/solver/diffusion/default.yaml); one that nobody knows is an error that
names it. Settings of the training (data, loss, which band was cut out, dropout) change nothing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from models.codecs.settings import Settings
from models.weights.references import resolve_references

TRAINED_STEPS = 1000  # of the noise schedule; the decoder's own steps are among them
TRANSFORMER_HEADS = 8

_SECTIONS: dict[str, Any] = {"schedule": {}, "processor": {}, "resampling": {}}  # may be missing; diffusion_unet not

# What audiocraft's constructors take where nothing is said.
_UNET: dict[str, Any] = {
    "hidden": 24,
    "depth": 3,
    "growth": 2.0,
    "max_channels": 10_000,
    "kernel": 4,
    "stride": 2,
    "res_blocks": 1,
    "norm_groups": 4,
    "emb_all_layers": False,
    "codec_dim": None,
    "bilstm": False,
    "transformer": False,
    "cross_attention": False,
}
_SCHEDULE: dict[str, Any] = {"beta_t0": 1e-4, "beta_t1": 0.02, "beta_exp": 1.0, "clip": 5.0, "noise_scale": 1.0}
_SCHEDULE_ONLY: dict[str, Any] = {"repartition": "power", "num_steps": TRAINED_STEPS, "n_bands": None}
# Of training, and of a way back through every step: the decoder's takes the posterior's variance, and never does step
# 0, after which alone `rescale` counts.
_SCHEDULE_OTHER = {"variable_step_batch", "variance", "rescale", "alpha_sigmoid"}
# `schedule` is two in one: every solver keeps that of its learning rate there too (config/solver/default.yaml).
_SCHEDULE_OTHER |= {"lr_scheduler", "step", "exponential", "cosine", "polynomial_decay", "inverse_sqrt"}
_SCHEDULE_OTHER |= {"linear_warmup"}
_PROCESSOR: dict[str, Any] = {"use": False, "name": None, "n_bands": 8, "power_std": 1.0}


@dataclass(frozen=True)
class UnetConfig:
    """A U-Net over samples: `depth` levels, each `stride` times shorter and, up to a limit, `growth` times wider."""

    hidden: int  # channels of the first level
    depth: int
    growth: float
    max_channels: int
    kernel: int
    stride: int
    res_blocks: int  # of a level, on each side
    norm_groups: int
    emb_all_layers: bool  # the diffusion step is told to every level, not to the first alone
    codec_dim: int  # of the codec's latents, which come in at the bottleneck
    bilstm: bool
    transformer: bool
    cross_attention: bool  # the transformer attends to the latents, which are otherwise added

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
        read = settings.completed(_UNET, {"dropout"})
        config = cls(
            hidden=read.count("hidden"),
            depth=read.count("depth"),
            growth=read.number("growth"),
            max_channels=read.count("max_channels"),
            kernel=read.count("kernel"),
            stride=read.count("stride"),
            res_blocks=read.count("res_blocks"),
            norm_groups=read.count("norm_groups"),
            emb_all_layers=read.flag("emb_all_layers"),
            codec_dim=read.count("codec_dim"),
            bilstm=read.flag("bilstm"),
            transformer=read.flag("transformer"),
            cross_attention=read.flag("cross_attention"),
        )
        config._check(read)
        return config

    def _check(self, read: Settings) -> None:
        if self.kernel < self.stride or (self.kernel - self.stride) % 2:
            raise read.refused("kernel", f"longer by an even number than the stride, {self.stride}")
        bad = [width for width in self.widths if width < 1 or width % self.norm_groups]
        if bad:
            raise read.refused("norm_groups", f"a divisor of each level's channels, {bad[0]} among them")
        if self.transformer and self.bilstm:
            raise read.refused("bilstm", "false where transformer is true: there is one place for the two")
        if self.transformer and self.widths[-1] % TRANSFORMER_HEADS:
            raise read.refused(
                "transformer", f"false: {self.widths[-1]} channels do not feed {TRANSFORMER_HEADS} heads"
            )


@dataclass(frozen=True)
class ScheduleConfig:
    """How much noise training added at each of its steps, and what the way back does."""

    beta_t0: float  # variance added at the first step
    beta_t1: float  # at the last one
    beta_exp: float  # the root of the variance at this exponent rises evenly
    clip: float  # samples stay within ± this; 0 is no limit
    noise_scale: float

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        read = settings.completed({**_SCHEDULE, **_SCHEDULE_ONLY}, _SCHEDULE_OTHER)
        read.require(_SCHEDULE_ONLY)
        config = cls(
            beta_t0=read.number("beta_t0"),
            beta_t1=read.number("beta_t1"),
            beta_exp=read.number("beta_exp"),
            clip=0.0 if read.values["clip"] is None else read.number("clip"),
            noise_scale=read.number("noise_scale"),
        )
        if not 0 < config.beta_t0 <= config.beta_t1 < 1:
            raise read.refused("beta_t0", f"above 0 and at most beta_t1, {config.beta_t1}, which is below 1")
        if config.beta_exp <= 0:
            raise read.refused("beta_exp", "above 0")
        return config


@dataclass(frozen=True)
class ProcessorConfig:
    """Of the sample processor that scales `bands` mel bands."""

    bands: int
    power_std: tuple[float, ...]  # one exponent, or one a band: 1 is full correction of the level, 0 none

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """None where the audio was diffused as it is."""
        read = settings.completed(_PROCESSOR, {"num_samples"})  # until which training summed up
        if not read.flag("use"):
            return None
        read.require({"name": "multi_band_processor"})
        config = cls(read.count("n_bands"), read.numbers("power_std"))
        if len(config.power_std) not in (1, config.bands):
            raise read.refused("power_std", f"one number, or one for each of the {config.bands} bands")
        return config


@dataclass(frozen=True)
class BandConfig:
    """One of the diffusion models, which together make the audio."""

    unet: UnetConfig
    schedule: ScheduleConfig
    processor: ProcessorConfig | None

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], source: str) -> Self:
        """`values` is the whole tree that audiocraft keeps as `cfg`; `source` says where it is, for errors."""
        # What else is in it may refer to anything: it is of the machine and the data of the training.
        known = {*_SECTIONS, "diffusion_unet"}
        own = {key: value for key, value in values.items() if key in known or not isinstance(value, Mapping)}
        root = Settings({**_SECTIONS, **resolve_references(own, source)}, source)
        if root.count("channels") != 1:
            raise root.refused("channels", "1: stereo is decoded as two channels")
        root.section("resampling").require({"use": False})
        return cls(
            UnetConfig.from_settings(root.section("diffusion_unet")),
            ScheduleConfig.from_settings(root.section("schedule")),
            ProcessorConfig.from_settings(root.section("processor")),
        )
