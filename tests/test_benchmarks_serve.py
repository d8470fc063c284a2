"""The benchmark of the service runs to its end, with an engine that does nothing, and says what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serve.__main__ import main
from benchmarks.serve.figures import milliseconds, percentile

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_requests_are_measured_and_told_as_one_json_document_at_last() -> None:
    options = ["--connections", "2", "--seconds", "0.2", "--no-engine"]
    command = [sys.executable, "-m", "benchmarks.serve", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert [row["request"] for row in report["requests"]] == ["get", "create", "wait"]
    assert "speech" not in report
    for row in report["requests"]:
        assert (row["connections"], row["answered"] >= 2) == (2, True)
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["per_second"] > 0
    assert len(run.stderr.splitlines()) == 3


def test_help_tells_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--no-engine" in capsys.readouterr().out


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert percentile([3.0], 0.99) == 3


def test_milliseconds_are_whole_unless_more_is_asked_for() -> None:
    assert (milliseconds(0.0126), milliseconds(0.0126, digits=2)) == (13, 12.6)
