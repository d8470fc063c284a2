"""The three forms that audio has on the wire, each to and from 16-bit samples [L], mono. Knows no stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from serving.realtime import g711

Samples = npt.NDArray[np.int16]  # [L], mono
Sound = npt.NDArray[np.float32]  # [L], mono, full scale is ±1

FULL_SCALE = 32768.0  # of a 16-bit sample: to float and back loses nothing


@dataclass(frozen=True)
class WireFormat:
    """rate: Hz. sample_bytes: of one sample on the wire. described: for messages."""

    name: str
    rate: int
    sample_bytes: int
    described: str
    decode: Callable[[bytes], Samples]
    encode: Callable[[Samples], bytes]

    def to_json(self) -> dict[str, object]:
        """As sessions show it: only PCM names its rate."""
        return {"type": self.name, "rate": self.rate} if self is PCM else {"type": self.name}


def _from_pcm16(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _to_pcm16(samples: Samples) -> bytes:
    return samples.astype("<i2", copy=False).tobytes()


PCM = WireFormat("audio/pcm", 24_000, 2, "mono PCM16 at 24kHz", _from_pcm16, _to_pcm16)
PCMU = WireFormat(
    "audio/pcmu", 8_000, 1, "G.711 μ-law at 8kHz", partial(g711.decode, law="mu"), partial(g711.encode, law="mu")
)
PCMA = WireFormat(
    "audio/pcma", 8_000, 1, "G.711 A-law at 8kHz", partial(g711.decode, law="a"), partial(g711.encode, law="a")
)
FORMATS: Mapping[str, WireFormat] = {wire.name: wire for wire in (PCM, PCMU, PCMA)}


def to_sound(samples: Samples) -> Sound:
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def to_samples(sound: Sound) -> Samples:
    """Rounded to the nearest; what passes full scale is held at it."""
    return np.clip(np.rint(sound * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
