"""Numbers of the service for Prometheus: what the table of predictions says now, and how long HTTP requests took here.

Predictions are counted where all processes of a deployment keep them, so each tells the same of them, and a worker that
serves no HTTP is counted too. One pass over the table a call: ask every few seconds, not every few milliseconds. Knows
no route.
"""

import time
from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.storage.database import predictions as table
from serving.storage.records import Status

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PREDICT_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others are "other": callers invent some
NO_ROUTE = "none"


class Metrics:
    """A registry of its own, so that two services in one process do not add up."""

    def __init__(self, engine: sa.Engine) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Predictions(engine))
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


class RequestMetrics:
    """Takes the time of each request, by the template of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def heard(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, heard)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.answered(scope["method"], route, status, time.perf_counter() - started)


class _Predictions(Collector):
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        return []  # else the registry would ask the database as soon as it has this

    def collect(self) -> Iterable[Metric]:
        with self._engine.connect() as connection:
            rows = connection.execute(_TALLY).all()
        by_status = GaugeMetricFamily("parley_predictions", "Predictions kept.", labels=("status", "door"))
        for row in rows:
            by_status.add_metric((row.status, row.door), row.number)
        yield by_status
        for name, status in (("waiting", Status.STARTING), ("running", Status.PROCESSING)):
            number = sum(row.number for row in rows if row.status == status)
            yield GaugeMetricFamily(f"parley_predictions_{name}", f"Predictions {name}.", value=number)
        made = [row for row in rows if row.status == Status.SUCCEEDED]
        seconds = CounterMetricFamily("parley_audio_seconds", "Seconds of audio made.", labels=("door",))
        took = HistogramMetricFamily("parley_predict_seconds", "From begin to success.", labels=("door",))
        for row in made:
            seconds.add_metric((row.door,), row.audio_seconds)
            took.add_metric((row.door,), _buckets(row), row.predict_seconds)
        yield from (seconds, took)


def _buckets(row: sa.Row[tuple[object, ...]]) -> list[tuple[str, float]]:
    """(upper bound, how many took no longer), …"""
    within = [(str(bound), getattr(row, f"within_{number}")) for number, bound in enumerate(PREDICT_SECONDS)]
    return [*within, ("+Inf", row.number)]


_TOOK = table.c.completed_at - table.c.started_at
_TALLY = sa.select(
    table.c.status,
    table.c.door,
    sa.func.count().label("number"),
    sa.func.sum(table.c.audio_seconds).label("audio_seconds"),
    sa.func.sum(_TOOK).label("predict_seconds"),
    *(
        sa.func.sum(sa.case((bound >= _TOOK, 1), else_=0)).label(f"within_{number}")
        for number, bound in enumerate(PREDICT_SECONDS)
    ),
).group_by(table.c.status, table.c.door)
