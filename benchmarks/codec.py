"""The codec: seconds of work for a second of audio, ours in pieces against transformers' DacModel, random weights."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DacConfig, DacModel

from models.codecs.dac import DacCodec

SECONDS = 3  # of audio a pass; transformers decodes it whole, which suits short audio better than long


def measure_codec(threads: Sequence[int], *, tiny: bool, rounds: int = 3) -> list[dict[str, Any]]:
    """Medians of decoding, for each number of threads; transformers in both precisions, ours likewise."""
    config = DacConfig(decoder_hidden_size=32, encoder_hidden_size=4) if tiny else DacConfig()
    config.n_codebooks = 9
    config.sampling_rate = 44_100
    peer = DacModel(config).eval()
    with tempfile.TemporaryDirectory(prefix="parley-benchmark-") as folder:
        peer.save_pretrained(folder)
        ours = {
            name: DacCodec.load(Path(folder), device=torch.device("cpu"), dtype=dtype)
            for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
        }
    frames = round(SECONDS * ours["float32"].frame_rate)
    codes = torch.randint(0, 1024, (9, frames), generator=torch.Generator().manual_seed(0))
    contestants: dict[str, Callable[[], object]] = {
        "transformers float32": lambda: _peer_decode(peer, codes),
        **{f"ours {name}": lambda codec=codec: codec.decode(codes) for name, codec in ours.items()},
    }
    before = torch.get_num_threads()
    rows = []
    for number in threads:
        torch.set_num_threads(number)
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, call in contestants.items():
                start = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - start) / SECONDS)
        rows.append({"threads": number, **{name: round(statistics.median(t), 3) for name, t in times.items()}})
    torch.set_num_threads(before)
    return rows


def _peer_decode(model: DacModel, codes: torch.Tensor) -> object:
    with torch.inference_mode():
        return model.decode(audio_codes=codes[None]).audio_values
