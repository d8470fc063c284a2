"""The benchmark of music runs, against both of transformers' precisions, and says what it measured on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHORT = ["--tiny", "--rounds", "1", "--steps", "4", "--positions", "1", "10", "--threads", "1"]


@pytest.mark.slow
def test_music_benchmark_runs_and_ends_with_one_json_document() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.music", *SHORT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert {"processor", "torch", "transformers", "commit"} <= set(report["machine"])
    assert [(row["weights"], row["position"]) for row in report["frames"]] == [
        (weights, position) for position in (1, 10) for weights in ("float16", "bfloat16", "int8")
    ]
    for row in report["frames"]:
        fastest = min(row["transformers_float32_ms"], row["transformers_bfloat16_ms"])
        # of a network this small a step takes half a millisecond, which is told to a hundredth of one
        assert row["ratio"] == pytest.approx(fastest / row["ms"], rel=0.05)
