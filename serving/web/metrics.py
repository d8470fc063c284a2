"""Numbers of the service for Prometheus: what the table of predictions says now, and how long HTTP requests took here.

Predictions are counted where all processes of a deployment keep them, so each tells the same of them, and a worker that
serves no HTTP is counted too. A call reads the predictions that are not over, and those that ended in the last minute.
Knows no route.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.storage.prediction import Status
from serving.storage.tallies import BOUNDS, LONGER, Tallies, Tally

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others are "other": callers invent some
NO_ROUTE = "none"


class Metrics:
    """A registry of its own, so that two services in one process do not add up."""

    def __init__(self, tallies: Tallies) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Predictions(tallies))
        self._requests = Histogram(
            "parley_http_request_seconds",
            "From a request's head to the end of its answer, streams included.",
            ("method", "route", "status"),
            buckets=HTTP_SECONDS,
            registry=self._registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus's text format, version 0.0.4. Asks the database."""
        return generate_latest(self._registry)


class _Predictions(Collector):
    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def describe(self) -> list[Metric]:
        return []  # else the registry would ask the database as soon as it has this

    def collect(self) -> Iterable[Metric]:
        tallies = self._tallies.all()
        numbers: Counter[tuple[str, str]] = Counter()
        made: dict[str, list[Tally]] = defaultdict(list)
        for tally in tallies:
            numbers[tally.status, tally.door] += tally.number
            if tally.status == Status.SUCCEEDED:
                made[tally.door].append(tally)
        yield from _numbers(numbers)
        yield from _made(made)


def _numbers(numbers: Mapping[tuple[str, str], int]) -> Iterable[Metric]:
    by_status = GaugeMetricFamily("parley_predictions", "Predictions, by how they are.", labels=("status", "door"))
    for labels, number in numbers.items():
        by_status.add_metric(labels, number)
    yield by_status
    for name, status in (("waiting", Status.STARTING), ("running", Status.PROCESSING)):
        of_all = sum(number for (found, _), number in numbers.items() if found == status)
        yield GaugeMetricFamily(f"parley_predictions_{name}", f"Predictions {name}.", value=of_all)


def _made(made: Mapping[str, Sequence[Tally]]) -> Iterable[Metric]:
    """By door, of what succeeded."""
    seconds = CounterMetricFamily("parley_audio_seconds", "Seconds of audio made.", labels=("door",))
    took = HistogramMetricFamily("parley_predict_seconds", "From begin to success.", labels=("door",))
    for door, tallies in made.items():
        seconds.add_metric((door,), sum(tally.audio_seconds for tally in tallies))
        took.add_metric((door,), _buckets(tallies), sum(tally.predict_seconds for tally in tallies))
    yield from (seconds, took)


def _buckets(tallies: Sequence[Tally]) -> list[tuple[str, float]]:
    """(upper bound, how many took no longer), …"""
    numbers: Counter[str] = Counter()
    for tally in tallies:
        numbers[tally.took] += tally.number
    bounds = [*map(str, BOUNDS), LONGER]
    return list(zip(bounds, accumulate(numbers[bound] for bound in bounds), strict=True))
