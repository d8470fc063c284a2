"""Our loop against transformers' `generate`, at the size of musicgen-small, in one process and in turn.

    python -m benchmarks.music

Random weights; a text of 20 tokens; one request with guidance, so two rows a step; top_k 250. A step makes one frame,
which is a fiftieth of a second of audio. Ours is a whole step of the decoder; transformers' is the time from one token
to the next inside its `generate`, prompt, text encoder and codec left out. The last line is JSON with the median
milliseconds of a step, as they passed and as the processor worked (`cpu_ms`: beside other work, with one thread, the
figure to go by). Each ratio is to the faster of transformers' two precisions.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks import machine, music_reference
from models.decoding.cache import KeyValuePool
from models.decoding.runtime import Runtime
from models.decoding.sequence import CodeSequence
from models.decoding.state_dict import StateDict
from models.musicgen.conditioning import Conditioning
from models.musicgen.config import MusicgenConfig
from models.musicgen.generate import MusicgenDecoder
from models.musicgen.layers import Packs
from models.musicgen.network import MusicgenNetwork
from models.request import SamplingParams

PEERS = ("transformers float32", "transformers bfloat16")

Seconds = tuple[float, float]  # that passed, and that all threads of this process worked
Steps = Callable[[], list[Seconds]]  # takes some steps → the seconds of each


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    threads_before = torch.get_num_threads()
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "tokens": options.tokens,
        "rounds": options.rounds,
        "steps_a_round": options.steps,
    }
    peer = music_reference.random_musicgen(tiny=options.tiny)
    networks = {name: _network(peer, name) for name in options.weights}
    peers = dict(zip(PEERS, (peer, music_reference.in_bfloat16(peer)), strict=True))
    report["frames"] = [
        row for position in options.positions for row in _time_frames(networks, peers, position, options)
    ]
    torch.set_num_threads(threads_before)
    print(json.dumps(report))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.music", description=__doc__.split("\n")[0])
    parser.add_argument("--weights", nargs="+", default=["float16", "bfloat16", "int8"], help="ours, by PARLEY_WEIGHTS")
    parser.add_argument(
        "--positions", nargs="+", type=int, default=[50, 750], help="frames before the timed ones, 1 or more"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=20, help="steps of a turn")
    parser.add_argument("--tokens", type=int, default=20, help="of the text")
    parser.add_argument("--tiny", action="store_true", help="a toy model: shows that the script runs, measures nothing")
    return parser.parse_args(arguments)


def _network(peer: Any, weights: str) -> MusicgenNetwork:
    """Ours, with the peer's weights kept in one of our ways."""
    runtime = Runtime.from_environ({"PARLEY_DEVICE": "cpu", "PARLEY_WEIGHTS": weights})
    config = MusicgenConfig.from_dict(peer.config.to_dict(), "musicgen-small")
    ours = ("decoder.", "enc_to_dec_proj.")
    tensors = {name: tensor for name, tensor in peer.state_dict().items() if name.startswith(ours)}
    with StateDict(tensors, "random weights", runtime.dtype) as source:
        return MusicgenNetwork.load(source, config, dtype=runtime.dtype, device=runtime.device, packs=Packs.of(runtime))


def _time_frames(
    networks: dict[str, MusicgenNetwork], peers: dict[str, Any], position: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rows = []
    for threads in options.threads:
        contestants = {name: _our_steps(network, position, options) for name, network in networks.items()}
        contestants |= {name: _their_steps(peer, position, options) for name, peer in peers.items()}
        medians = _in_turn(contestants, options.rounds, threads)
        bandwidth = machine.read_bandwidth(threads)
        for name, network in networks.items():
            row = {
                "weights": name,
                "position": position,
                "threads": threads,
                **_compare("", 0, name, medians),
                **_compare("cpu_", 1, name, medians),
                "bandwidth_gb_s": round(bandwidth / 1e9, 1),
                "bound_ms": round(1e3 * _step_bytes(network, name, position, options.tokens) / bandwidth, 2),
            }
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
    return rows


def _compare(prefix: str, which: int, name: str, medians: dict[str, Seconds]) -> dict[str, float]:
    """One of the two kinds of seconds, in milliseconds: ours, the peers', and how many times ours the faster takes."""
    ours, theirs = medians[name][which], {peer: medians[peer][which] for peer in PEERS}
    row = {f"{prefix}ms": ours, **{f"{peer}_{prefix}ms".replace(" ", "_"): each for peer, each in theirs.items()}}
    return {key: round(1e3 * value, 2) for key, value in row.items()} | {
        f"{prefix}ratio": round(min(theirs.values()) / ours, 2)
    }


def _our_steps(network: MusicgenNetwork, position: int, options: argparse.Namespace) -> Steps:
    """Steps of one request that goes on from turn to turn, after a prompt of `position` frames."""
    config = network.config
    decoder = MusicgenDecoder(network, KeyValuePool(network.cache_shape, slots=1, device=network.device))
    condition = Conditioning(torch.randn(options.tokens, config.text_width))
    prompt = torch.full((config.codebooks, position), 5).numpy()
    sampling = SamplingParams(cfg_scale=3.0, temperature=1.0, top_p=0.0, cfg_filter_top_k=250, seed=0)
    frames = (options.rounds + 1) * options.steps
    decoder.admit(CodeSequence(condition, prompt, sampling, frames, config.delays))
    (running,) = decoder._running.values()

    def steps() -> list[Seconds]:
        while running.prefill_left:
            decoder.step()
        seconds = []
        for _ in range(options.steps):
            start, worked = time.perf_counter(), time.process_time()
            decoder.step()
            seconds.append((time.perf_counter() - start, time.process_time() - worked))
        return seconds

    return steps


def _their_steps(peer: Any, position: int, options: argparse.Namespace) -> Steps:
    return lambda: music_reference.generate(peer, position, options.steps, options.tokens)


def _in_turn(contestants: dict[str, Steps], rounds: int, threads: int) -> dict[str, Seconds]:
    """Median seconds of each, a turn each in every round, so that a disturbance meets all alike."""
    torch.set_num_threads(threads)
    times: dict[str, list[Seconds]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, steps in contestants.items():
            seconds = steps()
            if number:  # the first is warm-up
                times[name] += seconds
    return {
        name: (statistics.median(passed for passed, _ in values), statistics.median(worked for _, worked in values))
        for name, values in times.items()
    }


def _step_bytes(network: MusicgenNetwork, weights: str, position: int, tokens: int) -> int:
    """What a step has to read: every matrix but the text's keys and values, and the caches in use."""
    c = network.config
    parameters = c.layers * (6 * c.width**2 + 2 * c.width * c.ffn) + c.width * c.codebooks * c.vocabulary
    size = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}[weights]
    own, text = 2 * 2 * c.layers * c.width * position, 2 * c.layers * c.width * tokens
    return parameters * size + (own + text) * network.dtype.itemsize


if __name__ == "__main__":
    raise SystemExit(main())
