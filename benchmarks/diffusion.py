"""Multi-Band Diffusion at its published size, with random weights: what a second of audio costs, and of what bound.

    python -m benchmarks.diffusion

One band's network is called once for each length of audio; a decoding calls it 20 times, and so the other three bands'.
Its bound is the time that its multiplications take at the speed of a large float32 matrix product in the same run. The
last line is JSON. On a machine that others use too, `--processor-time --threads 1` tells more than the clock does.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks import machine
from models.codecs.mbd_config import UnetConfig
from models.codecs.mbd_random import random_unet
from models.codecs.mbd_schedule import STRIDE
from models.codecs.mbd_unet import RESIDUAL_KERNEL, DiffusionUnet
from models.decoding.state_dict import StateDict

SAMPLE_RATE, HOP = 32_000, 640
BANDS = 4
CALLS = BANDS * 1000 // STRIDE  # of a network, for one decoding

# config/model/score/basic.yaml of audiocraft with two residual blocks: its four networks are as large as the file.
PUBLISHED = UnetConfig(
    hidden=48,
    depth=4,
    growth=4.0,
    max_channels=10_000,
    kernel=8,
    stride=4,
    res_blocks=2,
    norm_groups=4,
    emb_all_layers=True,
    codec_dim=128,
    bilstm=False,
    transformer=False,
    cross_attention=False,
)
Clock = Callable[[], float]  # seconds
PROBE = 2048  # rows and columns of the matrices that the bound is measured with


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diffusion", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", nargs="+", type=int, default=[1, 8, 30], help="of audio")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor-time", action="store_true", help="count that of all threads, not the clock's")
    parser.add_argument("--tiny", action="store_true", help="few channels: shows that the script runs")
    options = parser.parse_args(arguments)
    threads_before = torch.get_num_threads()
    config = PUBLISHED if not options.tiny else UnetConfig(**{**vars(PUBLISHED), "hidden": 4, "growth": 2.0})
    clock = time.process_time if options.processor_time else time.perf_counter
    before = machine.memory_bytes()
    unet = DiffusionUnet(config, StateDict(random_unet(config, seed=0), "random"))
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "rounds": options.rounds,
        "clock": clock.__name__,
        "weights_gb": round(BANDS * (machine.memory_bytes() - before) / 1e9, 2),
    }
    report["calls"] = [_row(unet, s, t, options.rounds, clock) for s in options.seconds for t in options.threads]
    torch.set_num_threads(threads_before)
    print(json.dumps(report))
    return 0


def _row(unet: DiffusionUnet, seconds: int, threads: int, rounds: int, clock: Clock) -> dict[str, Any]:
    torch.set_num_threads(threads)
    samples, frames = torch.randn(1, 1, seconds * SAMPLE_RATE), seconds * SAMPLE_RATE // HOP
    latents = torch.randn(1, unet.config.codec_dim, frames)
    condition = unet.condition(latents)[:, :, unet.frame_of_row(frames, samples.shape[2])]
    a, b = torch.randn(2, PROBE, PROBE)
    call, probe = _in_turn([lambda: unet(samples, 500, condition), lambda: a @ b], rounds, clock)
    speed = PROBE**3 / probe  # multiplications a second
    bound = multiplications(unet.config) * samples.shape[2] / speed
    row = {
        "audio_seconds": seconds,
        "threads": threads,
        "call_seconds": round(call, 6),
        "bound_seconds": round(bound, 6),
        "of_bound": round(bound / call, 2),
        "decode_seconds_per_audio_second": round(CALLS * call / seconds, 1),
    }
    print("  ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
    return row


def multiplications(config: UnetConfig) -> float:
    """Of one call, a sample; the latents' projection and the norms left out."""
    total, inputs, per_sample = 0.0, 1, 1.0  # rows of the level a sample
    for width in config.widths:
        per_sample /= config.stride
        ends = 2 * inputs * width * config.kernel  # into the level and out of it
        blocks = 2 * config.res_blocks * 2 * RESIDUAL_KERNEL * width**2
        total += per_sample * (ends + blocks)
        inputs = width
    return total


def _in_turn(contestants: Sequence[Callable[[], object]], rounds: int, clock: Clock) -> list[float]:
    """Median seconds of each, after one call to warm up."""
    times: list[list[float]] = [[] for _ in contestants]
    for turn in range(rounds + 1):
        for contestant, kept in zip(contestants, times, strict=True):
            start = clock()
            contestant()
            if turn:
                kept.append(clock() - start)
    return [statistics.median(kept) for kept in times]


if __name__ == "__main__":
    sys.exit(main())
