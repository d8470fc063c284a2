"""The part of a recording that carries its melody: voices and instruments without drums and bass. Knows Demucs alone.

MusicGen's melodies were separated by Demucs' `htdemucs` before training (arXiv:2306.05284 section 2.3), because drums
and bass are louder than the tune. Demucs is an optional extra: `pip install demucs`, 4.1 or newer, which needs no
torchaudio; it fetches its own weights from the hub, as safetensors. Without it the whole mix is what there is.
"""

import logging
from typing import Any, Self

import numpy as np
import torch

from models.request import Audio

log = logging.getLogger("parley.musicgen")

MODEL = "htdemucs"
KEPT = ("vocals", "other")


class StemSeparator:
    """Demucs, loaded. Holds nothing of a request, so any number of threads may use it."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model.to(device).eval()
        self._kept = [model.sources.index(name) for name in KEPT]
        self._device = device

    @classmethod
    def load(cls, device: torch.device) -> Self | None:
        """Demucs, or None where it is not installed or cannot have its weights; the log says which."""
        try:
            from demucs.audio import convert_audio  # noqa: F401
            from demucs.hf import get_hf_model  # demucs.pretrained would fall back on pickles from another server
        except ImportError as error:
            log.info("melodies are read off the whole mix: demucs is not installed (%s)", error)
            return None
        try:
            return cls(get_hf_model(MODEL), device)
        except Exception as error:  # a third party's network and files: without them there is less, not nothing
            log.warning("melodies are read off the whole mix: demucs cannot load %s (%s)", MODEL, error)
            return None

    def melody(self, audio: Audio, sample_rate: int) -> Audio:
        """float32 [C, L] → [1, about L]: what is left without drums and bass, at the same rate.

        The same audio gives the same melody: Demucs' random shift, which audiocraft leaves on, is off.
        """
        from demucs.apply import apply_model
        from demucs.audio import convert_audio

        model = self._model
        with torch.inference_mode():
            mix = torch.from_numpy(np.ascontiguousarray(audio))[None]
            mix = convert_audio(mix, sample_rate, model.samplerate, model.audio_channels)
            stems = apply_model(model, mix, shifts=0, device=self._device)  # [1, sources, C, L]
            kept = convert_audio(stems[:, self._kept].sum(1), model.samplerate, sample_rate, 1)
        return kept[0].cpu().numpy()
