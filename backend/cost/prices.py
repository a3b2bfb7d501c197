"""From relayed bytes to money. Pure.

A server's or a provider's price holds for all its hosts together, and so does what is free of it in a month of UTC.
That is spread evenly over the month: a session or a day costs its share of what the month costs so far.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

DEFAULT_CURRENCY = "USD"
GB = 1_000_000_000
"""Bytes, as providers count."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """The price of a GB over `hosts`, or over those that the provider of that name names; `free_gb` is by month."""

    price_per_gb: float
    free_gb: float = 0.0
    hosts: frozenset[str] = frozenset()
    provider: str = ""

    def cost(self, relayed: int) -> float:
        """Return what `relayed` bytes of one month cost."""
        return max(relayed / GB - self.free_gb, 0.0) * self.price_per_gb


@dataclass(frozen=True, slots=True)
class Prices:
    """All of them. `currency` is an ISO 4217 code. Bytes are given by host; hosts without a price cost nothing."""

    tariffs: tuple[Tariff, ...] = ()
    currency: str = DEFAULT_CURRENCY

    def with_hosts(self, hosts: Mapping[str, frozenset[str]]) -> "Prices":
        """Return them with the hosts of each provider, by its name."""
        tariffs = (replace(one, hosts=hosts.get(one.provider, one.hosts)) for one in self.tariffs)
        return Prices(tuple(tariffs), self.currency)

    def of_month(self, month: Mapping[str, int]) -> float | None:
        """Return what a month costs; None without any price."""
        return self.of_part(month, month)

    def of_part(self, part: Mapping[str, int], month: Mapping[str, int]) -> float | None:
        """Return what `part` of a month costs, such as a day; None without any price."""
        if not self.tariffs:
            return None
        return sum(_share(tariff, part, month) for tariff in self.tariffs)


def _share(tariff: Tariff, part: Mapping[str, int], month: Mapping[str, int]) -> float:
    whole = _over(tariff, month)
    return tariff.cost(whole) * _over(tariff, part) / whole if whole else 0.0


def _over(tariff: Tariff, relayed: Mapping[str, int]) -> int:
    return sum(count for host, count in relayed.items() if host in tariff.hosts)
