import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.codec import main

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_decode_benchmark_runs_and_ends_with_one_json_document() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.decode",
        "--tiny",
        "--rounds",
        "2",
        "--positions",
        "50",
        "--threads",
        "1",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert {row["weights"] for row in report["steps"]} == {"float16", "bfloat16", "int8"}
    for row in report["steps"]:
        # of a network this small a step takes half a millisecond, which is told to a hundredth of one
        assert row["ratio"] == pytest.approx(row["transformers_ms"] / row["ms"], rel=0.05)
    assert report["codec"][0]["ours float32"] > 0
    assert report["beside_a_busy_core"][0]["governed_ms"] > 0


@pytest.mark.parametrize(
    ("codec", "options", "clock"), [("dac", [], "perf_counter"), ("encodec", ["--processor-time"], "process_time")]
)
def test_codec_benchmark_ends_with_one_json_document(codec, options, clock, capsys) -> None:
    assert main(["--codec", codec, "--tiny", "--rounds", "1", "--threads", "1", *options]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["codec"], report["clock"]) == (codec, clock)
    rows = report["seconds_a_second"]
    kinds = {(row.get("task"), row.get("channels")) for row in rows}
    assert kinds == ({(None, None)} if codec == "dac" else {(t, c) for t in ("decode", "encode") for c in (1, 2)})
    for row in rows:
        assert row["transformers float32"] > 0
        assert row.get("ours", row.get("ours float32")) > 0


@pytest.mark.slow
def test_diffusion_benchmark_runs_and_ends_with_one_json_document() -> None:
    command = [sys.executable, "-m", "benchmarks.diffusion", "--tiny", "--seconds", "1", "--threads", "1"]
    command += ["--processor-time"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["clock"] == "process_time"
    [row] = report["calls"]
    assert row["decode_seconds_per_audio_second"] > 0
    assert row["call_seconds"] > 0
    assert row["bound_seconds"] > 0  # on a machine with other work either may be the larger one
