"""The thread count of a decoder step: its limits, its choice and its cost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.decoding.threads import ThreadGovernor, thread_candidates, usable_cpus

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """A clock and a step whose duration depends on the thread count."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.threads = 0

    def clock(self) -> float:
        return self.now

    def set_threads(self, threads: int) -> None:
        self.threads = threads

    def governor(self, **options) -> ThreadGovernor:
        return ThreadGovernor(tuple(self.seconds), clock=self.clock, set_threads=self.set_threads, **options)

    def run(self, governor: ThreadGovernor, steps: int) -> float:
        start = self.now
        for _ in range(steps):
            with governor.step():
                self.now += self.seconds[self.threads]
        return self.now - start


def _python(code: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


SHOW = "import os; from models.decoding.threads import spin_briefly as s; print(s(), os.environ.get('GOMP_SPINCOUNT'))"


def test_threads_are_told_to_spin_briefly_in_time_before_torch_and_it_says_when_it_is_not():
    assert _python("import sys; " + SHOW) == "True 3000"
    assert _python("import torch; " + SHOW) == "False 3000"


@pytest.mark.parametrize(
    ("chosen", "spins"), [({"OMP_WAIT_POLICY": "PASSIVE"}, "None"), ({"GOMP_SPINCOUNT": "7"}, "7")]
)
def test_what_the_operator_chose_is_kept(chosen, spins):
    assert _python(SHOW, **chosen).endswith(spins)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_usable_cpus_heed_the_container_and_the_affinity(tmp_path, files, limit):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    affinity = len(os.sched_getaffinity(0))
    assert usable_cpus(tmp_path) == (affinity if limit is None else min(limit, affinity))


def test_candidates_are_powers_of_two_within_the_cpus():
    assert [thread_candidates(cpus) for cpus in (1, 2, 3, 8)] == [(1,), (1, 2), (1, 2), (1, 2, 4, 8)]


def test_governor_finds_the_faster_count_and_stays():
    machine = Machine({1: 0.10, 2: 0.05})
    governor = machine.governor(interval_seconds=1.0)
    machine.run(governor, 100)
    assert governor.threads == 2
    machine.run(governor, 2000)
    assert governor.threads == 2 == machine.threads


def test_governor_leaves_two_threads_soon_after_a_neighbour_comes():
    machine = Machine({1: 0.10, 2: 0.06})
    governor = machine.governor(threads=2, interval_seconds=1e9)
    machine.run(governor, 20)
    machine.seconds = {1: 0.11, 2: 0.9}
    machine.run(governor, 10)
    assert governor.threads == 1


def test_governor_returns_to_two_threads_when_the_neighbour_leaves():
    machine = Machine({1: 0.10, 2: 0.9})
    governor = machine.governor(interval_seconds=5.0)
    machine.run(governor, 1000)
    assert governor.threads == 1
    machine.seconds = {1: 0.10, 2: 0.06}
    machine.run(governor, 2000)
    assert governor.threads == 2


@pytest.mark.parametrize("worse", [0.101, 0.2, 1.6])
def test_governor_costs_less_than_a_hundredth(worse):
    machine = Machine({1: 0.1, 2: worse})
    steps = 20_000
    spent = machine.run(machine.governor(interval_seconds=1.0), steps)
    assert spent < 1.011 * 0.1 * steps  # 1 %, and the last trial, whose rest may lie beyond the end


def test_governor_with_one_candidate_never_tries():
    machine = Machine({1: 0.1})
    governor = machine.governor(interval_seconds=0.0)
    machine.run(governor, 50)
    assert governor.threads == 1


def test_governor_does_not_count_a_step_that_raises():
    machine = Machine({1: 0.1, 2: 0.05})
    governor = machine.governor(interval_seconds=1.0)
    machine.run(governor, 5)

    def fail(within: Callable[[], object]) -> None:
        with governor.step():
            within()
            raise KeyError

    for _ in range(40):
        with pytest.raises(KeyError):
            fail(lambda: None)
    machine.run(governor, 100)
    assert governor.threads == 2


def test_thread_count_belongs_to_the_calling_thread():
    from threading import Thread

    torch.set_num_threads(1)
    torch.ones(4).sum()
    seen: list[int] = []

    def other() -> None:
        torch.set_num_threads(2)
        seen.append(torch.get_num_threads())

    thread = Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [2]
    assert torch.get_num_threads() == 1
