"""What a figure was measured on: processor, software, commit, and how fast memory was in the same run."""

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PROBE_BYTES = 2**30  # far more than any cache holds


def describe() -> dict[str, Any]:
    """Machine and software of this run."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "commit": _commit(),
    }


def read_bandwidth(threads: int, seconds: float = 2.0) -> float:
    """Bytes per second read from memory by `threads`, the best of several passes of a sum over a gibibyte."""
    data = torch.ones(PROBE_BYTES // 4)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        end = time.perf_counter() + seconds
        best = 0.0
        while time.perf_counter() < end:
            start = time.perf_counter()
            data.sum()
            best = max(best, PROBE_BYTES / (time.perf_counter() - start))
        return best
    finally:
        torch.set_num_threads(before)


def memory_bytes() -> int:
    """What this process holds now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _commit() -> str:
    """The commit, with "-dirty" where the tree differs from it."""
    run = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"
