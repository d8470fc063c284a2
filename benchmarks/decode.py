"""Our decoder step against transformers' Dia in bfloat16, at the size of Dia-1.6B, in one process and in turn.

    python -m benchmarks.decode

Random weights; a text of 200 bytes; one request with guidance, so two rows a step. Ours includes the embedding, the
logits, drawing the codes and the end rules; transformers' is its bare forward, without the logits processors. The last
line is JSON with medians, the ratios, and the time that reading a step's bytes takes at the bandwidth measured in the
same run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DiaConfig

from benchmarks import machine, reference
from benchmarks.codec import measure_codec
from models.decoding.cache import KeyValuePool
from models.decoding.runtime import Runtime
from models.decoding.sequence import CodeSequence
from models.decoding.threads import thread_candidates, usable_cpus
from models.dia.generate import DiaDecoder
from models.dia.layers import Packs
from models.dia.model import DiaNetwork
from models.request import SamplingParams

DELAYS = (0, *range(8, 16))
PEER = "transformers"

Step = Callable[[], None]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    threads_before = torch.get_num_threads()
    config = DiaConfig() if not options.tiny else _tiny_config()
    with tempfile.TemporaryDirectory(prefix="parley-benchmark-") as folder:
        report: dict[str, Any] = {
            "machine": machine.describe(),
            "text_bytes": options.text_bytes,
            "rounds": options.rounds,
        }
        peer = reference.random_dia(config)
        reference.save(peer, Path(folder))
        networks, report["loads"] = _load(Path(folder), options.weights)
        report["text_seconds"] = _time_text(networks, peer, options)
        report["steps"] = [
            row for position in options.positions for row in _time_steps(networks, peer, position, options)
        ]
        report["beside_a_busy_core"] = _time_contended(networks, options)
        del peer, networks
    if not options.no_codec:
        report["codec"] = measure_codec(options.threads, tiny=options.tiny)
    torch.set_num_threads(threads_before)
    print(json.dumps(report))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__.split("\n")[0])
    parser.add_argument("--weights", nargs="+", default=["float16", "bfloat16", "int8"], help="ours, by PARLEY_WEIGHTS")
    parser.add_argument("--positions", nargs="+", type=int, default=[50, 500, 1500], help="rows in the cache")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9, help="steps of each contestant, taken in turn")
    parser.add_argument("--text-bytes", type=int, default=200)
    parser.add_argument("--no-codec", action="store_true", help="leave the codec out")
    parser.add_argument("--tiny", action="store_true", help="a toy model: shows that the script runs, measures nothing")
    return parser.parse_args(arguments)


def _load(folder: Path, names: Sequence[str]) -> tuple[dict[str, DiaNetwork], dict[str, dict[str, float]]]:
    """Our network once for each kind of weights; how long each took to load, and the memory it keeps."""
    networks, loads = {}, {}
    for name in names:
        runtime = Runtime.from_environ({"PARLEY_DEVICE": "cpu", "PARLEY_WEIGHTS": name})
        start, before = time.perf_counter(), machine.memory_bytes()
        networks[name] = DiaNetwork.load(folder, dtype=runtime.dtype, device=runtime.device, packs=Packs.of(runtime))
        held = machine.memory_bytes() - before
        loads[name] = {"seconds": round(time.perf_counter() - start, 1), "memory_gb": round(held / 1e9, 2)}
    return networks, loads


def _time_text(networks: dict[str, DiaNetwork], peer: Any, options: argparse.Namespace) -> dict[str, float]:
    """Seconds from byte ids to the keys and values that the decoder attends to."""
    ids = [65] * options.text_bytes
    contestants = {name: lambda network=network: _read(network, ids) for name, network in networks.items()}
    contestants[PEER] = reference.read_text(peer, options.text_bytes)
    times = _in_turn(contestants, rounds=max(3, options.rounds // 3), threads=max(options.threads))
    return {name: round(value, 3) for name, value in times.items()}


def _read(network: DiaNetwork, ids: Sequence[int]) -> None:
    with torch.inference_mode():
        network.read_text(ids)


def _time_steps(
    networks: dict[str, DiaNetwork], peer: Any, position: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rows = []
    contestants = {name: _our_step(network, position, options.text_bytes) for name, network in networks.items()}
    contestants[PEER] = reference.step_at(peer, position, options.text_bytes)
    for threads in options.threads:
        bandwidth = machine.read_bandwidth(threads)
        medians = _in_turn(contestants, options.rounds, threads)
        for name, network in networks.items():
            row = {
                "weights": name,
                "position": position,
                "threads": threads,
                "ms": round(1e3 * medians[name], 2),
                "transformers_ms": round(1e3 * medians[PEER], 2),
                "ratio": round(medians[PEER] / medians[name], 2),
                "bandwidth_gb_s": round(bandwidth / 1e9, 1),
                "bound_ms": round(1e3 * _step_bytes(network, name, position, options.text_bytes) / bandwidth, 2),
            }
            row["of_bound"] = round(row["bound_ms"] / row["ms"], 3)
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
    return rows


def _our_step(network: DiaNetwork, position: int, text_bytes: int, thread_counts: tuple[int, ...] = ()) -> Step:
    """The whole step of one request, at `position` again and again."""
    decoder = DiaDecoder(network, KeyValuePool(network.cache_shape, slots=1, device=network.device), thread_counts)
    prompt = np.zeros((len(DELAYS), position), dtype=np.int64)
    frames = decoder.max_frames - position
    sequence = CodeSequence((65,) * text_bytes, prompt, SamplingParams(seed=0), frames, DELAYS)
    decoder.admit(sequence)
    running = decoder._running[id(sequence)]
    decoder.pool.k.normal_(0, 0.02), decoder.pool.v.normal_(0, 0.02)

    def step() -> None:
        running.position = position  # its prompt counts as read: what the cache holds does not change the time
        decoder.state.row[0] = position
        decoder.state.end[0] = 2**31
        decoder.step()

    return step


def _in_turn(contestants: dict[str, Step], rounds: int, threads: int) -> dict[str, float]:
    """Median seconds of each, one call each in every round, so that a disturbance meets all alike."""
    torch.set_num_threads(threads)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if number:  # the first is warm-up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def _time_contended(networks: dict[str, DiaNetwork], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Medians with another process spinning on a core: fixed thread counts, and the count that the decoder chooses."""
    position = options.positions[0]
    rows = []
    with _busy_core():
        for name, network in networks.items():
            row: dict[str, Any] = {"weights": name, "position": position}
            fixed = _our_step(network, position, options.text_bytes)
            for threads in options.threads:
                row[f"{threads}_threads_ms"] = round(1e3 * _in_turn({"": fixed}, options.rounds, threads)[""], 2)
            governed = _our_step(network, position, options.text_bytes, thread_candidates(usable_cpus()))
            row["governed_ms"] = round(1e3 * _in_turn({"": governed}, 4 * options.rounds, 1)[""], 2)
            rows.append(row)
            print("beside a busy core:", row, file=sys.stderr, flush=True)
    return rows


@contextmanager
def _busy_core() -> Iterator[None]:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def _step_bytes(network: DiaNetwork, weights: str, position: int, text_bytes: int) -> int:
    """What a step has to read: every decoder matrix but the text's keys and values, and the caches in use."""
    c = network.config.decoder
    attention = c.width * c.head_dim * (2 * c.heads + 2 * c.kv_heads)
    layer = attention + 2 * c.width * c.cross_heads * c.cross_head_dim + 3 * c.width * c.ffn
    parameters = c.layers * layer + c.width * c.codebooks * c.vocabulary
    own = 2 * 2 * c.layers * c.kv_heads * position * c.head_dim
    text = 2 * c.layers * c.cross_heads * text_bytes * c.cross_head_dim
    size = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}[weights]
    return parameters * size + (own + text) * network.dtype.itemsize


def _tiny_config() -> DiaConfig:
    from transformers.models.dia.configuration_dia import DiaDecoderConfig, DiaEncoderConfig

    encoder = DiaEncoderConfig(num_hidden_layers=1, hidden_size=32, num_attention_heads=2, num_key_value_heads=2)
    encoder.head_dim, encoder.intermediate_size = 16, 64
    decoder = DiaDecoderConfig(
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        cross_num_attention_heads=2,
        cross_num_key_value_heads=2,
        cross_head_dim=16,
        cross_hidden_size=32,
    )
    return DiaConfig(encoder_config=encoder, decoder_config=decoder)


if __name__ == "__main__":
    raise SystemExit(main())
