"""A provider and its credentials: kept for half their lifetime, renewed in the background, revoked at the end.

If each session gets its own credentials, one set is always in stock, so that a page need not wait for the provider, and
a configuration mistake shows at the start. A page gets what is available; it waits only if there is nothing, and never
while the provider is known to be down.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

from backend.ice.ice_servers import ConfiguredServer
from backend.ice.providers.breaker import Breaker
from backend.ice.providers.client import ProviderError, end, issue
from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.shapes import Named

if TYPE_CHECKING:
    from backend.ice.urls import LeftOut

_log = logging.getLogger("ice_console.providers")

MOST_SESSIONS = 1024
"""Sessions with their own credentials; further ones share a set."""

SHORTEST_LIFE = 5.0
"""Shortest lifetime in seconds. Less is not believed: pages would do nothing but renew."""

REVOKED_AFTER = 30.0
"""Seconds that a session may be empty before its credentials are revoked."""

_UNTIL = re.compile(r"(\d{10})(?::.*)?")
"""A user name that says when it expires (draft-uberti-behave-turn-rest-00, section 2.2)."""


@dataclass(slots=True, eq=False)
class Issued:
    """One answer. `at` is of the provider's clock, `life` in seconds; None is for ever. `sessions` are on it."""

    named: Named
    at: float
    life: float | None
    sessions: set[str] = field(default_factory=set)

    def is_good(self, now: float) -> bool:
        """Return whether it has not expired."""
        return self.life is None or now < self.at + self.life

    def is_due(self, now: float) -> bool:
        """Return whether half its life is over."""
        return self.life is not None and now >= self.at + self.life / 2


class Provider:
    """One provider. Its clock counts seconds from anywhere."""

    def __init__(
        self,
        configured: ConfiguredProvider,
        http: aiohttp.ClientSession,
        *,
        is_live: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Have credentials issued by `configured`; `is_live` says whether somebody is in a session."""
        self.configured = configured
        self.breaker = Breaker()
        self.problem = ""
        """Why the last request failed, or empty."""
        self._http = http
        self._is_live = is_live
        self._clock = clock
        self._stock: Issued | None = None
        """The credentials for the next session; for all sessions, if the provider does not distinguish them."""
        self._held: dict[str, list[Issued]] = {}
        """By session: the credentials that its pages may still use, newest last."""
        self._asking: asyncio.Task[None] | None = None
        self._leaving: dict[str, tuple[float, list[Issued]]] = {}
        """By ended session: when it ended, and its credentials."""
        self._read: tuple[int, int] = (0, 0)
        """Of the file, when it was read last: its time and number."""
        self._told: tuple[LeftOut, ...] = ()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def is_well(self) -> bool:
        """Whether the last request was answered."""
        return not self.problem

    async def servers(self, session: str) -> tuple[ConfiguredServer, ...]:
        """Return what `session` gets, or nothing. Waits only while there is nothing, and the provider may be well."""
        issued = self._current(session)
        if issued is None and not self.breaker.is_open(self._clock()):
            await asyncio.shield(self._ask())
            issued = self._current(session)
        if issued is None:
            issued = self._any(session)
        return self._servers(issued) if issued else ()

    async def tend(self) -> None:
        """Renew what has passed half its lifetime, forget what has expired; call it about once a second."""
        now = self._clock()
        if self.configured.kind == "file" and await asyncio.to_thread(self._file) != self._read:
            self.breaker.succeeded()  # its mistakes may be fixed
            await self._ask_unless_down()
        for session in list(self._held):
            self._tend_session(session, now)
        for session, (at, _) in list(self._leaving.items()):
            if now >= at + REVOKED_AFTER:
                self._has_left(session)
        if self._stock is None or self._stock.is_due(now):
            await self._ask_unless_down()
        for session, held in list(self._held.items()):
            if held[-1].is_due(now) and self._is_live(session):
                await self._ask_unless_down(session)

    def sample(self) -> tuple[ConfiguredServer, ...]:
        """Return what was issued last, for a look at the servers; it is taken from nobody."""
        now = self._clock()
        there = [self._stock, *(held[-1] for held in self._held.values())]
        newest = max((one for one in there if one and one.is_good(now)), key=lambda one: one.at, default=None)
        return self._servers(newest) if newest else ()

    def distrust(self) -> None:
        """Discard the stock, because servers refuse what was issued."""
        if self._stock and not self.breaker.is_open(self._clock()):
            self._stock = None
            self.breaker.failed(self._clock())  # not again and again

    def ended(self, session: str) -> None:
        """Record that everybody has left `session`; its own credentials are revoked unless somebody is soon back."""
        if held := self._held.pop(session, None):
            _, before = self._leaving.get(session, (0.0, []))
            self._leaving[session] = (self._clock(), before + held)

    async def close(self) -> None:
        """Revoke unused credentials and those of ended sessions. Pages keep theirs: they come back to the next run."""
        stock, self._stock = self._stock, None
        if stock and self.configured.is_by_session:
            self._release(stock, "")
        for session in list(self._leaving):
            self._has_left(session)
        if self._asking:
            self._asking.cancel()
        if tasks := [task for task in (*self._ending, self._asking) if task]:
            await asyncio.wait(tasks)

    # What there is.

    def _current(self, session: str) -> Issued | None:
        """Return what `session` is to be given, if it is there."""
        now = self._clock()
        held = self._held.get(session)
        if held and held[-1].is_good(now):
            return held[-1]
        if self._stock is None or not self._stock.is_good(now):
            return None
        stock = self._stock
        if self.configured.is_by_session and session:
            self._hold(session, stock)
            if len(self._held) <= MOST_SESSIONS:
                self._stock = None  # refilled by a separate task: nobody waits for it
                self._ask_soon()
        return stock

    def _any(self, session: str) -> Issued | None:
        """Return the newest that any session has, rather than nothing."""
        now = self._clock()
        good = [issued for held in self._held.values() for issued in held if issued.is_good(now)]
        newest = max(good, key=lambda issued: issued.at, default=None)
        if newest and session:
            self._hold(session, newest)
        return newest

    def _hold(self, session: str, issued: Issued) -> None:
        issued.sessions.add(session)
        self._held.setdefault(session, []).append(issued)

    def _servers(self, issued: Issued) -> tuple[ConfiguredServer, ...]:
        left = None if issued.life is None else issued.at + issued.life - self._clock()
        return tuple(
            ConfiguredServer(
                name=self.configured.name,
                urls=server.urls,
                username=server.username,
                credential=server.credential,
                expires=time.time() + left if left is not None and server.username else None,
            )
            for server in issued.named.servers
        )

    def _tend_session(self, session: str, now: float) -> None:
        held = self._held[session]
        gone = [issued for issued in held if not issued.is_good(now)]
        for issued in gone:
            held.remove(issued)
            issued.sessions.discard(session)
        if not held:
            del self._held[session]
        elif held[-1].is_due(now) and not self._is_live(session):
            self.ended(session)  # a page that asked, but never joined

    def _has_left(self, session: str) -> None:
        _, given = self._leaving.pop(session)
        if self._is_live(session):  # a page may have asked in advance, just before it left
            self._held[session] = given + self._held.get(session, [])
            return
        for issued in given:
            self._release(issued, session)

    def _release(self, issued: Issued, session: str) -> None:
        issued.sessions.discard(session)
        if not issued.sessions and issued is not self._stock and issued.is_good(self._clock()):
            task = asyncio.create_task(self._end(issued.named))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, named: Named) -> None:
        try:
            await end(self._http, self.configured, named)
        except ProviderError as error:
            _log.warning("! provider %s: credentials live until they expire: %s", self.configured.name, error)

    # Asking.

    def _ask(self, session: str = "") -> asyncio.Task[None]:
        """Return the request that is under way, or begin one: for the stock, or for `session`, which has some."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._issue(session))
        return self._asking

    def _ask_soon(self) -> None:
        if not self.breaker.is_open(self._clock()):
            self._ask()

    async def _ask_unless_down(self, session: str = "") -> None:
        if self._asking and not self._asking.done():
            await asyncio.wait([self._asking])
        if not self.breaker.is_open(self._clock()):
            await self._ask(session)

    async def _issue(self, session: str) -> None:
        if self.configured.kind == "file":
            self._read = await asyncio.to_thread(self._file)
        try:
            named = await issue(self._http, self.configured, secrets.token_hex(8))
        except ProviderError as error:
            self.breaker.failed(self._clock(), wish=error.wish)
            if str(error) != self.problem:
                _log.warning("! provider %s: %s", self.configured.name, error)
            self.problem = str(error)
            return
        if self.problem:
            _log.info("= provider %s answers again", self.configured.name)
        self.breaker.succeeded()
        self.problem = ""
        if named.left_out != self._told:
            self._told = named.left_out
            for one in named.left_out:
                _log.warning("! provider %s: no page gets %s: %s", self.configured.name, one.url, one.why)
        issued = Issued(named, self._clock(), self._life(named))
        if session in self._held:
            self._hold(session, issued)
        else:
            self._stock = issued

    def _life(self, named: Named) -> float | None:
        """Return the lifetime of `named` in seconds: as stated, if plausible, and at most as long as requested."""
        if self.configured.kind == "file":
            return named.lifetime
        life = min(named.lifetime or self.configured.ttl, self.configured.ttl)
        for server in named.servers:
            if (match := _UNTIL.fullmatch(server.username)) and (left := int(match[1]) - time.time()) > 0:
                life = min(life, left)
        return max(life, SHORTEST_LIFE)

    def _file(self) -> tuple[int, int]:
        """Return what tells one state of the file from another."""
        try:
            status = self.configured.path.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_ino)
