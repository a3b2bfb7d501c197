"""The gauges: read when Prometheus asks, and not stored."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The state of the server. `urls` and `providers` say whether each answers; `trips` are RTTs in seconds by URL."""

    sessions: int
    participants: int
    sockets: int
    journal_waiting: int
    draining: bool
    urls: dict[str, bool] = field(default_factory=dict)
    trips: dict[str, float] = field(default_factory=dict)
    providers: dict[str, bool] = field(default_factory=dict)


class Gauges(Collector):
    """Reads the state from `look` at each scrape."""

    def __init__(self, look: Callable[[], Now]) -> None:
        self._look = look

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every gauge."""
        now = self._look()
        for name, text, value in (
            ("sessions", "Sessions with somebody in them.", now.sessions),
            ("participants", "Places that are held.", now.participants),
            ("sockets", "WebSockets that are open.", now.sockets),
            ("journal_waiting", "Batches of diagnostics that are not written yet.", now.journal_waiting),
            ("draining", "Whether no new sessions are taken.", now.draining),
        ):
            yield GaugeMetricFamily(f"ice_console_{name}", text, value=float(value))
        up = GaugeMetricFamily("ice_console_ice_url_up", "Whether a URL is given to pages.", labels=["url"])
        for url, is_up in now.urls.items():
            up.add_metric([url], float(is_up))
        trip = GaugeMetricFamily("ice_console_ice_url_seconds", "A round trip from the server.", labels=["url"])
        for url, seconds in now.trips.items():
            trip.add_metric([url], seconds)
        providers = GaugeMetricFamily("ice_console_provider_up", "Whether a provider answers.", labels=["provider"])
        for name, is_up in now.providers.items():
            providers.add_metric([name], float(is_up))
        yield from (up, trip, providers)
