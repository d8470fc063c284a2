"""The codecs: seconds of work for a second of audio, ours in pieces against transformers' classes, random weights.

    python -m benchmarks.codec --codec encodec

`dac` is descript/dac_44khz's size, decoding; `encodec` that of MusicGen's 32 kHz codec, both ways, mono and stereo. All
in one process and in turn. The last line is JSON with medians. On a machine that others use too, `--processor-time
--threads 1` tells more than the clock does.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel

from benchmarks import machine
from models.codecs.dac import DacCodec
from models.codecs.encodec import EncodecCodec
from models.codecs.encodec_settings import encodec_from_hub
from models.decoding.state_dict import StateDict
from models.musicgen.names import codec_state

SECONDS = 3  # of audio a pass; transformers decodes it whole, which suits short audio better than long
PEER = "transformers float32"
ENCODEC: dict[str, Any] = {  # facebook/encodec_32khz
    "sampling_rate": 32_000,
    "upsampling_ratios": [8, 5, 4, 4],
    "num_filters": 64,
    "codebook_size": 2048,
    "target_bandwidths": [2.2],
    "use_causal_conv": False,
    "use_conv_shortcut": False,
}
TINY = {"num_filters": 4, "codebook_size": 2048}

Contestants = Mapping[str, Callable[[], object]]
Clock = Callable[[], float]  # seconds


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    measure = {"dac": measure_codec, "encodec": measure_encodec}[options.codec]
    clock = time.process_time if options.processor_time else time.perf_counter
    rows = measure(options.threads, tiny=options.tiny, rounds=options.rounds, clock=clock)
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr)
    report = {"machine": machine.describe(), "codec": options.codec, "clock": clock.__name__, "seconds_a_second": rows}
    print(json.dumps(report))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__.split("\n")[0])
    parser.add_argument("--codec", choices=["dac", "encodec"], default="dac")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="passes of each contestant, taken in turn")
    parser.add_argument("--processor-time", action="store_true", help="count that of all threads, not the clock's")
    parser.add_argument("--tiny", action="store_true", help="a toy codec: shows that the script runs, measures nothing")
    return parser.parse_args(arguments)


def measure_codec(
    threads: Sequence[int], *, tiny: bool, rounds: int = 3, clock: Clock = time.perf_counter
) -> list[dict[str, Any]]:
    """DAC: medians of decoding, for each number of threads; transformers in float32, ours in both precisions."""
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
    contestants: Contestants = {
        PEER: lambda: peer.decode(audio_codes=codes[None]),
        **{f"ours {name}": lambda codec=codec: codec.decode(codes) for name, codec in ours.items()},
    }
    return [{"threads": number, **_medians(contestants, number, rounds, clock)} for number in threads]


def measure_encodec(
    threads: Sequence[int], *, tiny: bool, rounds: int = 3, clock: Clock = time.perf_counter
) -> list[dict[str, Any]]:
    """EnCodec: medians for each number of threads and each task, and how many times as fast ours is."""
    settings = ENCODEC | TINY if tiny else ENCODEC
    peer = EncodecModel(EncodecConfig(**settings)).eval()
    state = codec_state(peer.state_dict())
    rows = []
    for channels in (1, 2):
        codec = EncodecCodec.load(StateDict(state, "the peer"), encodec_from_hub(settings, channels=channels), "cpu")
        random = torch.Generator().manual_seed(0)
        codes = torch.randint(0, 2048, (codec.codebooks, round(SECONDS * codec.frame_rate)), generator=random)
        audio = 0.1 * torch.randn(channels, SECONDS * codec.sample_rate, generator=random)
        # Of stereo, transformers' MusicGen takes the two channels one after the other.
        tasks: dict[str, Contestants] = {
            "decode": {
                PEER: lambda c=channels, codes=codes: [peer.decode(codes[None, None, i::c], [None]) for i in range(c)],
                "ours": lambda codec=codec, codes=codes: codec.decode(codes),
            },
            "encode": {
                PEER: lambda audio=audio: [peer.encode(one[None, None]) for one in audio],
                "ours": lambda codec=codec, audio=audio: codec.encode(audio),
            },
        }
        for number in threads:
            for task, contestants in tasks.items():
                times = _medians(contestants, number, rounds, clock)
                ratio = round(times[PEER] / max(times["ours"], 0.001), 2)
                rows.append({"task": task, "channels": channels, "threads": number, **times, "ratio": ratio})
    return rows


def _medians(contestants: Contestants, threads: int, rounds: int, clock: Clock) -> dict[str, float]:
    """Seconds of work for a second of audio, one pass of each in every round."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, call in contestants.items():
                start = clock()
                call()
                if number:  # the first is warm-up
                    times[name].append((clock() - start) / SECONDS)
    torch.set_num_threads(before)
    return {name: round(statistics.median(values), 3) for name, values in times.items()}


if __name__ == "__main__":
    sys.exit(main())
