"""What Prometheus may ask about a receiver. Filled by one thread, so that counting a webhook costs next to nothing."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BYTES = (256, 1024, 4096, 16384, 65536, 262144, 1048576)


class Tally(Collector):
    """A histogram without locks. `bounds`: the largest value of each bucket, ascending."""

    def __init__(self, name: str, says: str, bounds: Sequence[float]) -> None:
        self.name, self.says = name, says
        self.bounds = (*bounds, float("inf"))
        self.counts = [0] * len(self.bounds)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def collect(self) -> Iterator[Metric]:
        buckets = list(zip(map(floatToGoString, self.bounds), accumulate(self.counts), strict=True))
        yield HistogramMetricFamily(self.name, self.says, buckets=buckets, sum_value=self.sum)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "runrelay_webhooks", "Webhooks answered, by answer.", ["source", "answer"], registry=self.registry
        )
        self.refused = Counter(
            "runrelay_connections_refused",
            "Connections ended before there was a request, by answer.",
            ["answer"],
            registry=self.registry,
        )
        self.kept = Counter(
            "runrelay_webhooks_captured",
            "Webhooks that could not be verified, by what became of them where the file says that they are kept.",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.seconds = Tally("runrelay_webhook_seconds", "Time to answer a webhook.", SECONDS)
        self.bytes = Tally("runrelay_webhook_bytes", "Bytes read of a webhook's body.", BYTES)
        self.registry.register(self.seconds)
        self.registry.register(self.bytes)
        self._answered: dict[tuple[str, str], Counter] = {}

    def answered(self, source: str, answer: str, seconds: float, size: int) -> None:
        """One webhook. Both words come from closed sets: configured names, and the table of answers."""
        if (source, answer) not in self._answered:
            self._answered[source, answer] = self.webhooks.labels(source, answer)
        self._answered[source, answer].inc()
        self.seconds.observe(seconds)
        self.bytes.observe(size)

    def captured(self, source: str, outcome: str) -> None:
        self.kept.labels(source, outcome).inc()

    def refused_connection(self, answer: str) -> None:
        self.refused.labels(answer).inc()
