"""Multi-Band Diffusion: an EnCodec's codes → waveform by diffusion, which is slower than its decoder and cleaner.

The published model, mbd_musicgen_32khz.th of facebook/multiband-diffusion, is for the codes of facebook/encodec_32khz:
four networks, each the sound of one of four bands, 20 steps each. Their sum gets the level that the EnCodec decoder's
waveform has in each of 32 mel bands. Of stereo, left and right run as a batch: they share the noise and nothing else,
so that each is what it would be alone, and a sound in the middle stays there.

Up to WINDOW_SECONDS the networks see the audio whole, as in audiocraft. Longer audio goes through windows, see
models/codecs/mbd_process.py: activations are those of one window, 1 GB a channel, and what is kept of the whole are a
few numbers a sample. That is not exactly what one window over everything would give, because the networks' group norms
average over what they see; it is the same noise and the same steps, and nothing jumps where windows meet.

Knows no file format (models/codecs/mbd_file.py) and no language model.
Source: arXiv:2308.02560; audiocraft/models/multibanddiffusion.py.
"""

from collections.abc import Generator, Sequence
from math import gcd
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import Tensor

from models.codecs.mbd_bands import BandSplit, low_pass_filters
from models.codecs.mbd_config import BandConfig
from models.codecs.mbd_file import BandFile, read_bands
from models.codecs.mbd_process import DiffusionProcess
from models.codecs.mbd_processor import MultiBandProcessor, equalise
from models.codecs.mbd_schedule import NoiseSchedule
from models.codecs.mbd_unet import DiffusionUnet
from models.codecs.mbd_windows import Window, windows_over
from models.decoding.state_dict import StateDict
from models.errors import GenerationFailed, WeightsError

EQUALISER_BANDS = 32
WINDOW_SECONDS = 30  # MusicGen's own window: what audiocraft's users give to the networks at once
OVERLAP_SECONDS = 2  # of windows; a quarter on each side is context, more than the 0.15 s that convolutions reach


class LatentCodec(Protocol):
    """What is asked of the codec whose codes are decoded."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def hop_length(self) -> int: ...
    @property
    def codebooks(self) -> int: ...
    def decode(self, codes: Tensor) -> Tensor:
        """[K, T] → [C, hop·T]."""
        ...

    def latents(self, codes: Tensor) -> Tensor:
        """[K, T] → [C, D, T]: what its quantiser makes of the codes of each channel."""
        ...


class MultiBandDiffusion:
    """A loaded decoder; keeps nothing between calls. See `load`."""

    def __init__(self, codec: LatentCodec, processes: Sequence[DiffusionProcess], device: torch.device) -> None:
        self.codec = codec
        self.device = device
        self._processes = processes
        self._equaliser = BandSplit(low_pass_filters(EQUALISER_BANDS, codec.sample_rate).to(device))

    @classmethod
    def load(cls, path: Path, codec: LatentCodec, *, device: torch.device | str) -> Self:
        """Read a checkpoint in audiocraft's format for the codes of `codec`, mono or stereo. Raises WeightsError."""
        sample_rate, files = read_bands(path)
        if sample_rate != codec.sample_rate:
            raise WeightsError(
                f"{path.name} makes audio of {sample_rate} Hz; the codec has {codec.sample_rate} Hz. There is one for "
                "MusicGen's codec alone."
            )
        device = torch.device(device)
        processes = [
            _load_band(file, f"{path.name}, band {band}", sample_rate, device) for band, file in enumerate(files)
        ]
        width = codec.latents(torch.zeros(codec.codebooks, 1, dtype=torch.long)).shape[1]
        for band, process in enumerate(processes):
            if (wanted := process.unet.config.codec_dim) != width:
                raise WeightsError(f"{path.name}, band {band} reads latents of {wanted}; the codec's are {width} wide.")
        return cls(codec, processes, device)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.codec.sample_rate

    def decode(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """[K, T] → float32 [C, hop·T]; equal codes and generators in equal states give equal audio.

        Raises GenerationFailed if the audio is not finite.
        """
        steps = self.decode_steps(codes, generator)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                audio: Tensor = end.value
                return audio

    def decode_steps(self, codes: Tensor, generator: torch.Generator) -> Generator[float, None, Tensor]:
        """`decode` for a caller who has other things to do in between, or may want to stop: `yield from` it.

        Yields the share of the work that is done, up to 1, after each call of a network; closing it ends the work. The
        generator is drawn from for each band: the noise it begins with, then that of every step but the last.
        """
        reference = self.codec.decode(codes).to(self.device)
        audio = torch.zeros_like(reference)
        if codes.shape[1] == 0:
            return audio
        latents, hop = self.codec.latents(codes).to(self.device), self.codec.hop_length
        plans = [self._windows(process, codes.shape[1]) for process in self._processes]
        calls = sum(process.calls(windows) for process, (windows, _) in zip(self._processes, plans, strict=True))
        progress = (call / calls for call in range(1, calls + 1))
        for process, (windows, overlap) in zip(self._processes, plans, strict=True):
            audio += yield from process.sample(latents, hop, windows, overlap, generator, progress)
        audio = equalise(audio, reference, self._equaliser)
        if not audio.isfinite().all():
            raise GenerationFailed("Multi-Band Diffusion gave samples that are not numbers. Decode without it.")
        return audio

    def _windows(self, process: DiffusionProcess, frames: int) -> tuple[list[Window], int]:
        """The windows of a band and how many frames of each overlap the next."""
        hop, reduction = self.codec.hop_length, process.unet.config.reduction
        # A window begins where a frame and a row of the bottleneck do, so that its rows are those of the whole.
        step = reduction // gcd(reduction, hop)
        longest, overlap = (
            seconds * self.sample_rate // (step * hop) * step for seconds in (WINDOW_SECONDS, OVERLAP_SECONDS)
        )
        return windows_over(frames, longest=longest, overlap=overlap, step=step), overlap


def _load_band(file: BandFile, origin: str, sample_rate: int, device: torch.device) -> DiffusionProcess:
    config = BandConfig.from_settings(file.settings, origin)
    with StateDict(file.model, origin, device=device) as tensors:
        unet = DiffusionUnet(config.unet, tensors)
    with StateDict(file.processor, f"{origin}, processor", device=device) as tensors:
        processor = MultiBandProcessor.load(config.processor, tensors, sample_rate) if config.processor else None
    return DiffusionProcess(unet, NoiseSchedule(config.schedule), processor)
