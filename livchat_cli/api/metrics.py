"""What Prometheus is told: calls, how long they took, what was refused, and what the home holds."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from livchat_cli import index, reports
from livchat_cli.jobs import Status, of

# Where the bars of the API are: reads within 50 ms, anything that does not wait within 200 ms.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5, 45)


class Metrics:
    """One API's own registry: what other libraries count in this process is nobody's business."""

    def __init__(self, home: Path) -> None:
        # When a number was first counted is of use to nobody, and doubles the answer.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self._registry = CollectorRegistry()
        self._registry.register(_Held(home))
        self._calls = Counter(
            "livchat_api_calls", "Calls answered", ["operation", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "livchat_api_call_seconds",
            "Seconds until an answer was complete",
            ["operation"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._refused = Counter("livchat_api_refused", "Calls refused, by code", ["code"], registry=self._registry)
        self.streams = Gauge("livchat_api_streams", "Streams of events that are open", registry=self._registry)

    def call(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Notes a call that was answered."""
        self._calls.labels(operation, method, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Held(Collector):
    """What is counted when somebody looks."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        tree = index.of(self._home).tree()
        yield GaugeMetricFamily("livchat_servers", "Servers in the index", value=len(tree["servers"]))
        yield GaugeMetricFamily("livchat_applications", "Applications in the index", value=len(tree["applications"]))
        jobs = GaugeMetricFamily("livchat_jobs", "Jobs that are remembered", labels=["status"])
        found = Tally(job["status"] for job in of(self._home).all(limit=None))
        for status in Status:
            jobs.add_metric([status.value], found[status.value])
        yield jobs
        health = GaugeMetricFamily(
            "livchat_reported_up", "What the health webhook was last told", labels=["server", "instance"]
        )
        for place, up in reports.last_health(self._home).items():
            health.add_metric(list(place), float(up))
        yield health
