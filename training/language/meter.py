"""What a run reports of its last steps."""

import time

import numpy as np


class Meter:
    """Means of the numbers of some steps."""

    def __init__(self) -> None:
        self._numbers: list[dict[str, float]] = []
        self._since = time.monotonic()

    def add(self, numbers: dict[str, float]) -> None:
        self._numbers.append(numbers)

    def take(self) -> dict[str, float]:
        """Means since the last call, and frames per second."""
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        numbers, self._numbers = self._numbers, []
        speed = sum(n["frames"] for n in numbers) / max(seconds, 1e-9)
        means = {name: float(np.mean([n[name] for n in numbers])) for name in numbers[0] if name != "frames"}
        return {name: round(value, 4) for name, value in means.items()} | {"frames_per_second": round(speed)}
