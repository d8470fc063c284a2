"""How many CPU threads a decoder step uses: as many as are faster, which beside a busy core is one.

A decoder step is some two hundred short parallel regions. Beside a busy core, two threads that spin while they wait
lose a time slice in each: an int8 step of Dia-1.6B took 3 to 5 times as long as on one thread, and 1.4 times as long
where they soon sleep (`spin_briefly`). On free cores the second thread saves 10 to 35 %, as much as the memory has
bandwidth left. So the number is measured at the start, and again while running. It changes speed only: the operations
of this room give the same float32 result for any number of threads. Knows no model.

torch is imported inside functions, because `spin_briefly` must run before torch is loaded. Its thread count belongs
to the calling thread (OpenMP), so all of this happens on the thread that runs the steps.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from statistics import median

CGROUP = Path("/sys/fs/cgroup")

# A larger count must be this much faster to be worth a core that others can use, the codec for one.
GAIN = 0.95

_SPINS = 3000
_TRIAL_STEPS = 3
_RECENT_STEPS = 5
_TRIAL_SHARE = 0.01  # of the running time, at most, is lost to trials that found nothing better
_SLOWED_DOWN = 1.5  # times the settled duration, in every recent step: someone else came


def spin_briefly() -> bool:
    """Let waiting OpenMP threads spin for some microseconds, then sleep; what the environment already says is kept.

    On free cores a step takes as long as with threads that always spin, 20 % less than with threads that sleep at
    once. Returns False if torch is loaded: it is then too late for this process, though not for its children.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))
    return "torch" not in sys.modules


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """Whole CPUs this process may use, at least 1: its affinity, and the limit of its container (cgroup v2 or v1)."""
    # macOS has no affinity.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(allowed, _cgroup_cpus(cgroup))))


def _cgroup_cpus(cgroup: Path) -> float:
    try:
        if (v2 := cgroup / "cpu.max").exists():
            quota, period = v2.read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{word}_us").read_text() for word in ("quota", "period"))
    except OSError:
        return inf
    # "max" (v2) and -1 (v1) mean no limit.
    return inf if quota == "max" or int(quota) < 0 else int(quota) / int(period)


def thread_candidates(cpus: int) -> tuple[int, ...]:
    """1, 2, 4, … up to `cpus`; the counts worth trying."""
    return tuple(2**i for i in range(cpus.bit_length()))


def _best(seconds: dict[int, float]) -> int:
    best, *others = sorted(seconds)
    for threads in others:
        if seconds[threads] < GAIN * seconds[best]:
            best = threads
    return best


class ThreadGovernor:
    """Keeps the thread count right while steps run: `with governor.step(): …` around each.

    A few of the first steps, and then of each `interval_seconds`, run with the next candidate. What a trial loses
    against staying is paid for by waiting until it is a hundredth of the time. When steps suddenly grow slow, a trial
    follows at once and is paid for afterwards.
    """

    def __init__(
        self,
        candidates: Sequence[int],
        threads: int | None = None,
        interval_seconds: float = 30.0,
        clock: Callable[[], float] = time.perf_counter,
        set_threads: Callable[[int], None] | None = None,
    ) -> None:
        """threads: the count to start with; the first candidate by default."""
        self._candidates = tuple(candidates)
        self._interval = interval_seconds
        self._clock = clock
        self._set = set_threads or _set_threads
        self.threads = self._candidates[0] if threads is None else threads
        self._set(self.threads)
        self._recent: deque[float] = deque(maxlen=_RECENT_STEPS)
        self._settled = inf  # seconds of a step when the count was last chosen
        self._trial: list[float] = []
        self._on_trial: int | None = None
        self._asked = 0  # how many trials were begun: whose turn it is
        self._rested = clock()  # when the debt of earlier trials is paid off
        self._last_trial = -inf

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time one step. Steps that raise are not counted."""
        if self._on_trial is None and self._is_due():
            self._begin_trial()
        start = self._clock()
        yield
        self._record(self._clock() - start)

    def _is_due(self) -> bool:
        if len(self._candidates) < 2 or len(self._recent) < _RECENT_STEPS:
            return False
        now = self._clock()
        slowed_down = min(self._recent) > _SLOWED_DOWN * self._settled
        return slowed_down or now >= max(self._rested, self._last_trial + self._interval)

    def _begin_trial(self) -> None:
        others = [threads for threads in self._candidates if threads != self.threads]
        self._on_trial = others[self._asked % len(others)]
        self._asked += 1
        self._trial = []
        self._set(self._on_trial)

    def _record(self, seconds: float) -> None:
        if self._on_trial is None:
            self._recent.append(seconds)
            if len(self._recent) == _RECENT_STEPS and self._settled == inf:
                self._settled = median(self._recent)
            return
        self._trial.append(seconds)
        # One step that is far slower is answer enough.
        if len(self._trial) == _TRIAL_STEPS or seconds > _SLOWED_DOWN * median(self._recent):
            self._end_trial(self._on_trial)

    def _end_trial(self, tried: int) -> None:
        # The first step with another count also wakes or makes threads.
        current, other = median(self._recent), min(self._trial) if len(self._trial) < 2 else median(self._trial[1:])
        if _best({self.threads: current, tried: other}) == tried:
            self.threads = tried
            self._recent.clear()
            self._settled = inf
        else:
            self._settled = current
        lost = max(0.0, sum(self._trial) - len(self._trial) * current)
        now = self._clock()
        self._last_trial = now
        self._rested = max(now, self._rested) + lost / _TRIAL_SHARE
        self._on_trial = None
        self._set(self.threads)


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
