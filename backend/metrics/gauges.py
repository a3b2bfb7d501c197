"""The gauges: read when Prometheus asks, and not stored."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from backend.cost.budget import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The state of the server. `urls` and `providers` say whether each answers; `trips` are RTTs in seconds by URL.

    `budget_used` are the used shares of the relays' budget, by day and by month; `relay_cost` is the money of this
    month in `currency`, None without prices.
    """

    sessions: int
    participants: int
    sockets: int
    journal_waiting: int
    journal_lag: float
    journal_lost: int
    draining: bool
    urls: dict[str, bool] = field(default_factory=dict)
    trips: dict[str, float] = field(default_factory=dict)
    providers: dict[str, bool] = field(default_factory=dict)
    budget_used: dict[Scope, float] = field(default_factory=dict)
    relay_cost: float | None = None
    currency: str = ""


class Gauges(Collector):
    """Reads the state from `look` at each scrape."""

    def __init__(self, look: Callable[[], Now]) -> None:
        self._look = look

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield every gauge, and the one counter that is kept elsewhere."""
        now = self._look()
        for name, text, value in (
            ("sessions", "Sessions with somebody in them.", now.sessions),
            ("participants", "Places that are held.", now.participants),
            ("sockets", "WebSockets that are open.", now.sockets),
            ("journal_waiting", "Batches of diagnostics that are not written yet.", now.journal_waiting),
            ("journal_lag_seconds", "How long the oldest of them has been waiting.", now.journal_lag),
            ("draining", "Whether no new sessions are taken.", now.draining),
        ):
            yield GaugeMetricFamily(f"ice_console_{name}", text, value=float(value))
        yield CounterMetricFamily(
            "ice_console_journal_lost", "Entries that were not written for want of room.", value=float(now.journal_lost)
        )
        up = GaugeMetricFamily("ice_console_ice_url_up", "Whether a URL is given to pages.", labels=["url"])
        for url, is_up in now.urls.items():
            up.add_metric([url], float(is_up))
        trip = GaugeMetricFamily("ice_console_ice_url_seconds", "A round trip from the server.", labels=["url"])
        for url, seconds in now.trips.items():
            trip.add_metric([url], seconds)
        providers = GaugeMetricFamily("ice_console_provider_up", "Whether a provider answers.", labels=["provider"])
        for name, is_up in now.providers.items():
            providers.add_metric([name], float(is_up))
        used = GaugeMetricFamily("ice_console_relay_budget_used", "Its used share; 1 is all of it.", labels=["scope"])
        for scope, share in now.budget_used.items():
            used.add_metric([scope], share)
        cost = GaugeMetricFamily("ice_console_relay_cost", "Money for relays in this month.", labels=["currency"])
        if now.relay_cost is not None:
            cost.add_metric([now.currency], now.relay_cost)
        yield from (up, trip, providers, used, cost)
