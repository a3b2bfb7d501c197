"""A provider and its credentials: kept for half their lifetime, renewed in the background, revoked at the end.

If each holder gets its own credentials, one set is always in stock, so that a page need not wait for the provider, and
a configuration mistake shows at the start. A page gets what is available; it waits only if there is nothing, and never
while the provider is known to be down.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from backend.ice.ice_servers import ConfiguredServer
from backend.ice.providers.breaker import Breaker
from backend.ice.providers.client import ProviderError, end, issue
from backend.ice.providers.configured import ConfiguredProvider
from backend.ice.shapes import Named
from pyapp.protocol.turn_rest import expiry

if TYPE_CHECKING:
    from backend.ice.urls import LeftOut

_log = logging.getLogger("ice_console.providers")

MOST_HOLDERS = 1024
"""Holders with their own credentials; further ones share a set."""

SHORTEST_LIFE = 5.0
"""Shortest lifetime in seconds. Less is not believed: pages would do nothing but renew."""

REVOKED_AFTER = 30.0
"""Seconds that a session may be empty before its credentials are revoked."""


class Holder(NamedTuple):
    """Whose credentials they are: of the pages that came into `session` with `invitation`.

    That is its id, or empty if none was needed. Who is revoked must not take the credentials of the others along.
    """

    session: str
    invitation: str = ""


@dataclass(slots=True, eq=False)
class Issued:
    """One answer. `at` is of the provider's clock, `life` in seconds; None is for ever. `holders` have it."""

    named: Named
    at: float
    life: float | None
    holders: set[Holder] = field(default_factory=set)

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
        is_live: Callable[[Holder], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Have credentials issued by `configured`; `is_live` says whether a holder has a place in its session."""
        self.configured = configured
        self.breaker = Breaker()
        self.problem = ""
        """Why the last request failed, or empty."""
        self._http = http
        self._is_live = is_live
        self._clock = clock
        self._stock: Issued | None = None
        """The credentials for the next holder; for all, if the provider does not distinguish them."""
        self._held: dict[Holder, list[Issued]] = {}
        """The credentials that its pages may still use, newest last."""
        self._asking: asyncio.Task[None] | None = None
        self._lost: set[Holder] = set()
        """Those who lost the server without a goodbye: their pages may still talk to each other, over a relay."""
        self._leaving: dict[Holder, tuple[float, list[Issued]]] = {}
        """When all had left, and their credentials."""
        self._revoked: set[str] = set()
        """The invitations that were revoked in this run: a page that has one may have asked just before."""
        self._read: tuple[int, int] = (0, 0)
        """Of the file, when it was read last: its time and number."""
        self._told: tuple[LeftOut, ...] = ()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def is_well(self) -> bool:
        """Whether the last request was answered."""
        return not self.problem

    async def servers(self, holder: Holder) -> tuple[ConfiguredServer, ...]:
        """Return what `holder` gets, or nothing. Waits only while there is nothing, and the provider may be well."""
        if holder.invitation in self._revoked:
            return ()
        issued = self._current(holder)
        if issued is None and not self.breaker.is_open(self._clock()):
            await asyncio.shield(self._ask())
            if holder.invitation in self._revoked:
                return ()
            issued = self._current(holder)
        if issued is None:
            issued = self._any(holder)
        return self._servers(issued) if issued else ()

    async def tend(self) -> None:
        """Renew what has passed half its lifetime, forget what has expired; call it about once a second."""
        now = self._clock()
        if self.configured.kind == "file" and await asyncio.to_thread(self._file) != self._read:
            self.breaker.succeeded()  # its mistakes may be fixed
            await self._ask_unless_down()
        self._lost = {holder for holder in self._lost if holder in self._held and not self._is_live(holder)}
        for holder in list(self._held):
            self._tend_holder(holder, now)
        for holder, (at, _) in list(self._leaving.items()):
            if now >= at + REVOKED_AFTER:
                self._has_left(holder)
        if self._stock is None or self._stock.is_due(now):
            await self._ask_unless_down()
        for holder, held in list(self._held.items()):
            if held[-1].is_due(now) and self._is_live(holder):
                await self._ask_unless_down(holder)

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
        for holder in [one for one in self._held if one.session == session]:
            self._leave(holder)

    def lost(self, holder: Holder) -> None:
        """Record that a page of `holder` has not come back to the server. What it has is left until it expires."""
        if holder in self._held:
            self._lost.add(holder)

    def revoked(self, invitations: Collection[str]) -> None:
        """Have revoked at once what was issued for these invitations, whoever else is in the session."""
        self._revoked |= set(invitations)
        for holder in [one for one in {**self._held, **self._leaving} if one.invitation in invitations]:
            _, left = self._leaving.pop(holder, (0.0, []))
            for issued in left + self._held.pop(holder, []):
                self._release(issued, holder)

    async def close(self) -> None:
        """Revoke unused credentials and those of ended sessions. Pages keep theirs: they come back to the next run."""
        stock, self._stock = self._stock, None
        if stock and self.configured.is_by_session:
            self._release(stock)
        for holder in list(self._leaving):
            self._has_left(holder)
        if self._asking:
            self._asking.cancel()
        if tasks := [task for task in (*self._ending, self._asking) if task]:
            await asyncio.wait(tasks)

    # What there is.

    def _current(self, holder: Holder) -> Issued | None:
        """Return what `holder` is to be given, if it is there."""
        now = self._clock()
        held = self._held.get(holder)
        if held and held[-1].is_good(now):
            return held[-1]
        if self._stock is None or not self._stock.is_good(now):
            return None
        stock = self._stock
        if self.configured.is_by_session and holder.session:
            self._hold(holder, stock)
            if len(self._held) <= MOST_HOLDERS:
                self._stock = None  # refilled by a separate task: nobody waits for it
                self._ask_soon()
        return stock

    def _any(self, holder: Holder) -> Issued | None:
        """Return the newest that anybody has, rather than nothing."""
        now = self._clock()
        good = [issued for held in self._held.values() for issued in held if issued.is_good(now)]
        newest = max(good, key=lambda issued: issued.at, default=None)
        if newest and holder.session:
            self._hold(holder, newest)
        return newest

    def _hold(self, holder: Holder, issued: Issued) -> None:
        issued.holders.add(holder)
        self._held.setdefault(holder, []).append(issued)

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

    def _tend_holder(self, holder: Holder, now: float) -> None:
        held = self._held[holder]
        gone = [issued for issued in held if not issued.is_good(now)]
        for issued in gone:
            held.remove(issued)
            issued.holders.discard(holder)
        if not held:
            del self._held[holder]
        elif held[-1].is_due(now) and holder not in self._lost and not self._is_live(holder):
            self._leave(holder)  # a page that asked, but never joined, or that has left others there

    def _leave(self, holder: Holder) -> None:
        _, before = self._leaving.get(holder, (0.0, []))
        self._leaving[holder] = (self._clock(), before + self._held.pop(holder))

    def _has_left(self, holder: Holder) -> None:
        _, given = self._leaving.pop(holder)
        if self._is_live(holder):  # a page may have asked in advance, just before it left
            self._held[holder] = given + self._held.get(holder, [])
            return
        for issued in given:
            self._release(issued, holder)

    def _release(self, issued: Issued, holder: Holder | None = None) -> None:
        if holder:
            issued.holders.discard(holder)
        if not issued.holders and issued is not self._stock and issued.is_good(self._clock()):
            task = asyncio.create_task(self._end(issued.named))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, named: Named) -> None:
        try:
            await end(self._http, self.configured, named)
        except ProviderError as error:
            _log.warning("! provider %s: credentials live until they expire: %s", self.configured.name, error)

    # Asking.

    def _ask(self, holder: Holder | None = None) -> asyncio.Task[None]:
        """Return the request that is under way, or begin one: for the stock, or for `holder`, which has some."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._issue(holder))
        return self._asking

    def _ask_soon(self) -> None:
        if not self.breaker.is_open(self._clock()):
            self._ask()

    async def _ask_unless_down(self, holder: Holder | None = None) -> None:
        if self._asking and not self._asking.done():
            await asyncio.wait([self._asking])
        if not self.breaker.is_open(self._clock()):
            await self._ask(holder)

    async def _issue(self, holder: Holder | None) -> None:
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
        if holder in self._held:
            self._hold(holder, issued)
        else:
            self._stock = issued

    def _life(self, named: Named) -> float | None:
        """Return the lifetime of `named` in seconds: as stated, if plausible, and at most as long as requested."""
        if self.configured.kind == "file":
            return named.lifetime
        life = min(named.lifetime or self.configured.ttl, self.configured.ttl)
        now = time.time()
        for server in named.servers:
            if (until := expiry(server.username, now=now)) and (left := until - now) > 0:
                life = min(life, left)
        return max(life, SHORTEST_LIFE)

    def _file(self) -> tuple[int, int]:
        """Return what tells one state of the file from another."""
        try:
            status = self.configured.path.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_ino)
