"""The relay meter: bytes over each TURN host, by day and by session.

A page reports what each candidate pair has carried since it exists. Each end counts the pairs with a relay of its own,
so that nothing counts twice, and the growth since the last report counts for the day on which it was reported (UTC).
The day's sum stays when the session is no longer kept.
"""

import sqlite3
from calendar import monthrange
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyapp.protocol.entries import SAMPLES
from pyapp.protocol.ice import IceError, parse_reported_url
from pyapp.protocol.wire import Scalar

_MOST = 1 << 40
"""Bytes between two reports; more is not believed."""
_FASTEST = 12_500_000
"""Bytes per second. A page that says it has relayed faster since it came is not believed: its word counts towards
everybody's budget."""
_BEFORE = 60.0
"""Seconds for which a page may have relayed before the server knew it: after a restart, say."""
_KNOWN = 4096
"""Pairs, and page loads, that are remembered."""
_MOST_HOSTS = 64
"""Hosts in a day. A page may name any; what is relayed over further ones counts as that of `_SOME_RELAY`."""
_MOST_PAIRS = 256
"""Pairs of a page load that are kept, the latest: ICE names no pair again that it has left so long ago."""
_SOME_RELAY = "a relay"


@dataclass(slots=True)
class _Page:
    """A page load: when it came (Unix time, seconds), and the bytes that were counted of it."""

    came: float
    counted: int


class RelayMeter:
    """Counts within the transactions of `connection`. Blocking."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._counted: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._grown: set[int] = set()
        self._pages: OrderedDict[int, _Page] = OrderedDict()
        self._hosts: tuple[str, set[str]] = ("", set())
        """The hosts of a day."""
        self._pairs: dict[tuple[int, str], tuple[int, float]] = {}
        """What is to be stored of each pair: bytes, and when they were reported."""
        self._days: Counter[tuple[str, str]] = Counter()
        self._sessions: Counter[tuple[str, int]] = Counter()
        """Bytes to be added, by host and day, and by host and session."""

    def forget(self) -> None:
        """Forget what is remembered: the transaction was undone."""
        self._counted.clear()
        self._grown.clear()
        self._pages.clear()
        self._hosts = ("", set())
        self._clear_pending()

    def take_grown(self) -> frozenset[int]:
        """Return the sessions in which something was counted since the last call."""
        grown, self._grown = frozenset(self._grown), set()
        return grown

    def count(self, participant: int, session: int, event: str, data: Mapping[str, Scalar], *, at: float) -> None:
        """Count what an entry of a participant reports; `at` is Unix time, seconds. `store` stores it.

        Raises `sqlite3.Error`.
        """
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
        page = self._page(participant)
        more = min(more, round(_FASTEST * (at - page.came + _BEFORE)) - page.counted)
        if more <= 0:
            return
        page.counted += more
        self._pairs[key] = (carried, at)
        day = _day(at)
        host = self._host(relay_host(data.get("server")), day)
        self._days[host, day] += more
        self._sessions[host, session] += more
        self._grown.add(session)

    def store(self) -> None:
        """Store what was counted since the last call: each sum once for a whole batch. Raises `sqlite3.Error`."""
        if not self._pairs:
            return
        rows = [(*key, carried, at) for key, (carried, at) in self._pairs.items()]
        self._connection.executemany("insert or replace into relayed values (?, ?, ?, ?)", rows)
        for table, sums in (("relay_days", self._days), ("relay_sessions", self._sessions)):
            self._connection.executemany(
                f"insert into {table} values (?, ?, ?) on conflict do update set bytes = bytes + excluded.bytes",  # noqa: S608 - constants
                [(host, of_it, more) for (host, of_it), more in sums.items()],
            )
        self._clear_pending()

    def _clear_pending(self) -> None:
        self._pairs.clear()
        self._days.clear()
        self._sessions.clear()

    def _page(self, participant: int) -> "_Page":
        page = self._pages.pop(participant, None)
        if page is None:
            found = self._connection.execute(
                "select came, (select coalesce(sum(bytes), 0) from relayed where participant = id)"
                " from participants where id = ?",
                (participant,),
            )
            page = _Page(*found.fetchone())
        self._pages[participant] = page
        if len(self._pages) > _KNOWN:
            self._pages.popitem(last=False)
        return page

    def _host(self, host: str, day: str) -> str:
        if self._hosts[0] != day:
            found = self._connection.execute("select host from relay_days where day = ?", (day,))
            self._hosts = (day, {str(one) for (one,) in found})
        known = self._hosts[1]
        if host not in known and len(known) >= _MOST_HOSTS:
            return _SOME_RELAY
        known.add(host)
        return host


@dataclass(frozen=True, slots=True)
class Month:
    """Bytes over relays in a month of UTC (`2026-11`), by host. `forecast` is what it comes to if it goes on so."""

    month: str
    bytes: dict[str, int]
    forecast: dict[str, int]


@dataclass(frozen=True, slots=True)
class Relayed:
    """What the meter says at `at` (Unix time, seconds), in bytes by host: of this day and month of UTC.

    `sessions` are the named ones of which it has something new to say.
    """

    at: float
    day: dict[str, int]
    month: Month
    sessions: dict[str, dict[str, int]] = field(default_factory=dict)


def relayed(connection: sqlite3.Connection, sessions: Iterable[int] = (), *, now: float) -> Relayed:
    """Return what the meter says now, also of `sessions`. Raises `sqlite3.Error`."""
    by_name: dict[str, dict[str, int]] = {}
    for session in sessions:
        for (name,) in connection.execute("select name from sessions where id = ?", (session,)):
            by_name[str(name)] = over_relays(connection, session)
    day = connection.execute("select host, bytes from relay_days where day = ?", (_day(now),))
    return Relayed(now, {str(host): int(count) for host, count in day}, this_month(connection, now=now), by_name)


def over_relays(connection: sqlite3.Connection, session: int) -> dict[str, int]:
    """Return the bytes of a session by host. Raises `sqlite3.Error`."""
    found = connection.execute("select host, bytes from relay_sessions where session = ? order by host", (session,))
    return {str(host): int(count) for host, count in found}


def clear(connection: sqlite3.Connection, *, oldest: float, now: float) -> None:
    """Drop the days before `oldest`, never those of this month, and pairs that no page names any more.

    Both are Unix time, seconds. Raises `sqlite3.Error`.
    """
    first = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-01")
    connection.execute("delete from relay_days where day < ?", (min(_day(oldest), first),))
    connection.execute(
        "delete from relayed where (participant, pair) in (select participant, pair from (select participant, pair,"
        " row_number() over (partition by participant order by at desc) as place from relayed) where place > ?)",
        (_MOST_PAIRS,),
    )


def this_month(connection: sqlite3.Connection, *, now: float) -> Month:
    """Return what was relayed in the month of `now` (Unix time, seconds). Raises `sqlite3.Error`."""
    today = datetime.fromtimestamp(now, UTC)
    by_host = month_of(connection, at=now)
    days = monthrange(today.year, today.month)[1]
    passed = today.day - 1 + (today.hour + today.minute / 60) / 24
    share = max(passed, 1.0) / days  # in the first hours of a month, a day says more than they do
    return Month(today.strftime("%Y-%m"), by_host, {host: round(total / share) for host, total in by_host.items()})


def month_of(connection: sqlite3.Connection, *, at: float) -> dict[str, int]:
    """Return the bytes by host of the month of `at` (Unix time, seconds). Raises `sqlite3.Error`."""
    month = datetime.fromtimestamp(at, UTC).strftime("%Y-%m")
    found = connection.execute(
        "select host, sum(bytes) from relay_days where day like ? group by host order by host", (f"{month}-%",)
    )
    return {str(host): int(total) for host, total in found}


def carried_by(data: Mapping[str, Scalar]) -> int:
    """Return the bytes that a relay has carried both ways for a pair, by a page's report."""
    names = ("relayed",) if "relayed" in data else ("pair_sent", "pair_received")  # as earlier pages told it
    values = (data.get(name) for name in names)
    return sum(value for value in values if type(value) is int and 0 <= value < 1 << 50)


def relay_host(url: Scalar) -> str:
    """Return the host of a TURN URL that a page reported."""
    try:
        return parse_reported_url(str(url)).host
    except IceError:
        return _SOME_RELAY


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
