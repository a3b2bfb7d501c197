"""The sockets that the endpoint serves, counted against the limits. Pure: the shell has the transports and the clock.

A socket has an address for the limits (`callers.site`). Those that have not joined yet are counted apart, so that a
flood of them keeps nobody out who has.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from backend.access.invitations import Grant
from backend.access.limits import Limits, TokenBucket
from backend.signaling.socket import Socket
from pyapp.protocol.signaling import Cost, Error, Join

CheckJoin: TypeAlias = Callable[[Join], Grant]
"""Raises `InvitationError` if the join is not allowed."""


FREE = Cost()
"""What is told where relays have neither a price nor a budget: nothing."""


@dataclass(slots=True, eq=False)
class Connection:
    """One socket. `site` is its address for the limits."""

    number: int
    address: str
    site: str
    socket: Socket
    bucket: TokenBucket
    check_join: CheckJoin
    join: Join | None = None
    is_warned: bool = False
    is_joined: bool = False
    is_closing: bool = False
    refusal: asyncio.TimerHandle | None = None
    """Answers a wrong invitation, after a while in which nothing else is read."""
    cost: Cost = FREE
    """What its page was told last of the relays' cost."""

    def __str__(self) -> str:
        """Return who it is, for the log."""
        return f"{self.join.session}: {self.join.participant[:8]}" if self.join else self.address


class Connections:
    """All open sockets, by number."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: dict[int, Connection] = {}
        self._unjoined: dict[Connection, None] = {}
        """Those that have not joined yet, oldest first."""
        self._per_site: Counter[str] = Counter()
        self._unjoined_per_site: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connection]:
        """Iterate over a copy: connections may go meanwhile."""
        return iter(list(self._all.values()))

    def get(self, number: int) -> Connection | None:
        """Return the connection of this number, or None if it has ended."""
        return self._all.get(number)

    @property
    def are_full(self) -> bool:
        """Whether no further one may join."""
        return len(self._all) - len(self._unjoined) >= self.limits.sockets

    def refusal(self, site: str) -> Error | None:
        """Return why another socket from `site` is not accepted, or None."""
        if self._per_site[site] >= self.limits.sockets_per_address:
            rule = f"At most {self.limits.sockets_per_address} sockets from one address."
            return Error("limit", rule, "sockets-per-address")
        if self._unjoined_per_site[site] >= self.limits.unjoined_per_address:
            rule = f"At most {self.limits.unjoined_per_address} sockets from one address that have not joined."
            return Error("limit", rule, "unjoined-per-address")
        return None

    def add(self, connection: Connection) -> Connection | None:
        """Count a new one; return the one that has to make room for it, or None.

        The oldest of the heaviest user goes: a flood of sockets only displaces its own.
        """
        self._all[connection.number] = connection
        self._per_site[connection.site] += 1
        self._unjoined[connection] = None
        self._unjoined_per_site[connection.site] += 1
        if len(self._unjoined) <= self.limits.unjoined_sockets:
            return None
        staying = [other for other in self._unjoined if not other.is_closing]  # the others make room already
        if len(staying) <= self.limits.unjoined_sockets:
            return None
        [(crowded, _)] = Counter(other.site for other in staying).most_common(1)
        return next(other for other in staying if other.site == crowded)

    def has_joined(self, connection: Connection) -> None:
        """Count it among those that have joined from now on."""
        if connection in self._unjoined:
            del self._unjoined[connection]
            _count_down(self._unjoined_per_site, connection.site)

    def remove(self, connection: Connection) -> None:
        """Forget it: it has ended."""
        self.has_joined(connection)
        del self._all[connection.number]
        _count_down(self._per_site, connection.site)


def _count_down(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
