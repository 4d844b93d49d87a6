"""/metrics: what a process of the API tells Prometheus about itself.

Everything is read when it is asked for; while requests are served nothing but plain numbers is counted. No label comes from a client,
and none is a partner: whoever scrapes this may not learn who uses the platform, and a label for each would grow without bounds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.limiter import Limiter
from app.limits import Limits
from bank.breaker import BreakerState
from persistence.database import Database

MEDIA_TYPE = "text/plain; version=0.0.4"
STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
OUTCOMES = {200: "answered", 401: "not_let_in", 403: "not_let_in", 429: "limited", 503: "unavailable"}


class Metrics(Collector):
    """`breakers` tells the state of each bank's, by mode."""

    def __init__(
        self, limits: Limits, limiter: Limiter, database: Database, breakers: Callable[[], Mapping[str, BreakerState]]
    ) -> None:
        self._limits = limits
        self._limiter = limiter
        self._database = database
        self._breakers = breakers
        self._answers: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, status: int) -> None:
        """An answer of the GraphQL endpoint went out."""
        self._answers[OUTCOMES.get(status, "failed" if status >= 500 else "refused")] += 1

    def exposition(self) -> bytes:
        """The answer to Prometheus."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing before it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures as they are now."""
        yield _counts("requests", "Answers of the GraphQL endpoint, by how they came out.", "outcome", self._answers)
        turned_away = "Requests that were refused before execution, by why."
        yield _counts("turned_away", turned_away, "reason", self._limits.turned_away)
        yield CounterMetricFamily("partner_api_cost_points", "Points charged.", value=self._limits.charged)
        yield _gauge("requests_under_way", "GraphQL requests of callers that were let in.", self._limits.under_way)
        shared = "1: token buckets are shared through Redis. 0: each process has its own, at a fraction of the rates."
        yield _gauge("limits_shared", shared, int(self._limiter.is_shared))
        yield CounterMetricFamily("partner_api_limiter_calls", "Calls to Redis that charged requests.", value=self._limiter.calls)
        yield CounterMetricFamily(
            "partner_api_limiter_shared_charges", "Requests charged in Redis.", value=self._limiter.charged_shared
        )
        yield CounterMetricFamily(
            "partner_api_limiter_own_charges", "Requests charged in this process.", value=self._limiter.charged_here
        )
        yield _gauge("database_line", "Arrivals that wait for a connection.", self._database.waiting)
        breaker = GaugeMetricFamily(
            "partner_api_bank_breaker", "0: closed, the bank is asked. 1: half open, one probe. 2: open.", labels=["mode"]
        )
        for mode, state in self._breakers().items():
            breaker.add_metric([mode], STATES[state])
        yield breaker


def _counts(name: str, what: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"partner_api_{name}", what, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"partner_api_{name}", what, value=value)
