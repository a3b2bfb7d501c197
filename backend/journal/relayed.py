"""The relay meter: bytes over each TURN host, by day.

A page reports what each candidate pair has carried since it exists. Each end counts the pairs with a relay of its own,
so that nothing counts twice, and the growth since the last report counts for the day on which it was reported (UTC).
What was counted stays when the session is no longer kept.
"""

import sqlite3
from calendar import monthrange
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyapp.protocol.entries import SAMPLES
from pyapp.protocol.ice import IceError, parse_reported_url
from pyapp.protocol.wire import Scalar

_MOST = 1 << 40
"""Bytes between two reports; more is not believed."""
_KNOWN = 4096
"""Pairs that are remembered."""


class RelayMeter:
    """Counts within the transactions of `connection`. Blocking."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._counted: OrderedDict[tuple[int, str], int] = OrderedDict()

    def forget(self) -> None:
        """Forget what is remembered: the transaction was undone."""
        self._counted.clear()

    def count(self, participant: int, event: str, data: Mapping[str, Scalar], *, at: float) -> None:
        """Count what an entry of a participant reports; `at` is Unix time, seconds. Raises `sqlite3.Error`."""
        if (event not in SAMPLES and event != "pair") or data.get("local_type") != "relay":
            return
        carried = carried_by(data)
        key = (participant, f"{data.get('pair')} {data.get('ufrag')}")
        before = self._counted.pop(key, None)
        if before is None:
            found = self._connection.execute("select bytes from relayed where participant = ? and pair = ?", key)
            before = (found.fetchone() or (0,))[0]
        more = carried - before
        self._counted[key] = max(carried, before) if more < _MOST else before
        if len(self._counted) > _KNOWN:
            self._counted.popitem(last=False)
        if not 0 < more < _MOST:
            return
        self._connection.execute("insert or replace into relayed values (?, ?, ?)", (*key, carried))
        day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
        self._connection.execute(
            "insert into relay_days values (?, ?, ?) on conflict do update set bytes = bytes + excluded.bytes",
            (relay_host(data.get("server")), day, more),
        )


@dataclass(frozen=True, slots=True)
class Month:
    """Bytes over relays in a month of UTC (`2026-11`), by host. `forecast` is what it comes to if it goes on so."""

    month: str
    bytes: dict[str, int]
    forecast: dict[str, int]


def this_month(connection: sqlite3.Connection, *, now: float) -> Month:
    """Return what was relayed in the month of `now` (Unix time, seconds). Raises `sqlite3.Error`."""
    today = datetime.fromtimestamp(now, UTC)
    month = today.strftime("%Y-%m")
    found = connection.execute(
        "select host, sum(bytes) from relay_days where day like ? group by host order by host", (f"{month}-%",)
    )
    by_host = {str(host): int(total) for host, total in found}
    days = monthrange(today.year, today.month)[1]
    passed = today.day - 1 + (today.hour + today.minute / 60) / 24
    share = max(passed, 1.0) / days  # in the first hours of a month, a day says more than they do
    return Month(month, by_host, {host: round(total / share) for host, total in by_host.items()})


def carried_by(data: Mapping[str, Scalar]) -> int:
    """Return the bytes that a pair has carried both ways, by a page's report."""
    values = (data.get(name) for name in ("pair_sent", "pair_received"))
    return sum(value for value in values if type(value) is int and 0 <= value < 1 << 50)


def relay_host(url: Scalar) -> str:
    """Return the host of a TURN URL that a page reported."""
    try:
        return parse_reported_url(str(url)).host
    except IceError:
        return "a relay"
