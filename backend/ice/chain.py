"""The sources of a page's ICE servers: the file's `[[server]]` and `[[provider]]` entries, and the local coturn.

They are links of one chain, in the order of the file, which is the operator's preference. A link without servers is
skipped. The local coturn comes last, for a page that would otherwise get no TURN server. Within a link, `watch.py`
knows which URLs answer, and which host is nearest to a page.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection

import aiohttp

from backend.ice.choosing import left_out
from backend.ice.health import Check
from backend.ice.ice_servers import ConfiguredIce, ConfiguredServer
from backend.ice.providers.provider import Holder, Provider
from backend.ice.watch import Watch
from pyapp.protocol.ice import parse_ice_url

_log = logging.getLogger("ice_console.ice")

_TEND_EVERY = 1.0
"""Seconds."""

_MOST_HOSTS = 64
"""Server hosts distinguished in the metrics, and hosts of a provider that have its price: a local coturn has the name
under which it was requested, and a provider may name others each time."""


class Chain:
    """The links. Use as `async with chain.running()`."""

    def __init__(self, configured: ConfiguredIce, *, is_live: Callable[[Holder], bool], checks: bool = True) -> None:
        """`is_live` says whether a holder has a place; `checks` whether the servers' health is checked."""
        self.configured = configured
        self.watch = Watch()
        self._checks = checks
        self.providers: tuple[Provider, ...] = ()
        self._is_live = is_live
        self._http: aiohttp.ClientSession | None = None
        self._told: set[str] = set()
        self._looked_at: tuple[str, ...] = ()
        self._hosts: frozenset[str] = frozenset()
        self._provider_hosts: dict[str, frozenset[str]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Chain"]:
        """Tend the providers in the background."""
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # each request has its own
            headers={"User-Agent": "ice-console"},
        ) as self._http:
            await self.replace(self.configured)
            tasks = [asyncio.create_task(self._tend())]
            if self._checks:
                tasks.append(asyncio.create_task(self._check()))
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await asyncio.gather(*(provider.close() for provider in self.providers))

    async def replace(self, configured: ConfiguredIce) -> None:
        """Switch to another configuration. A provider that is in both keeps its credentials."""
        if self._http is None:
            raise RuntimeError("a chain is replaced while it runs")
        before = self.providers
        self.configured = configured
        self.providers = tuple(
            next((provider for provider in before if provider.configured == one), None)
            or Provider(one, self._http, is_live=self._is_live)
            for one in configured.providers
        )
        for provider in before:
            if provider not in self.providers:
                await provider.close()
        self._tell(configured.servers)

    async def servers(
        self,
        session: str,
        *,
        invitation: str = "",
        address: str = "",
        local: tuple[ConfiguredServer, ...] = (),
    ) -> tuple[ConfiguredServer, ...]:
        """Return the servers for a page of `session` that calls from `address`, the preferred ones first.

        `invitation` is the id of the one with which it came; `local` are the servers of our coturn.
        """
        links = await self._links(Holder(session, invitation))
        servers = tuple(server for link in links for server in link)
        self._tell(servers)
        if self.configured.checks:
            servers = tuple(self.watch.well([one for link in links for one in self.watch.nearest_first(link, address)]))
        servers = servers if any(server.is_turn for server in servers) else servers + local
        if hosts := {parse_ice_url(url).host for server in servers for url in server.urls} - self._hosts:
            self._hosts |= hosts if len(self._hosts) < _MOST_HOSTS else frozenset()
        return servers

    async def every_server(
        self, session: str, *, invitation: str = "", local: tuple[ConfiguredServer, ...] = ()
    ) -> tuple[ConfiguredServer, ...]:
        """Return all of them, well or not, for a page that checks its network."""
        servers = tuple(server for link in await self._links(Holder(session, invitation)) for server in link)
        return servers if any(server.is_turn for server in servers) else servers + local

    async def _links(self, holder: Holder) -> list[tuple[ConfiguredServer, ...]]:
        asked = await asyncio.gather(*(provider.servers(holder) for provider in self.providers), return_exceptions=True)
        answers: list[tuple[ConfiguredServer, ...]] = []
        for answer in asked:  # a failed provider must not affect the others
            if isinstance(answer, BaseException):
                _log.error("! a provider could not be asked", exc_info=answer)
            else:
                answers.append(answer)
        return self._in_order(self.configured.servers, answers)

    def _in_order(
        self, static: tuple[ConfiguredServer, ...], answers: list[tuple[ConfiguredServer, ...]]
    ) -> list[tuple[ConfiguredServer, ...]]:
        return [*answers, static] if self.configured.providers_first else [static, *answers]

    def ended(self, session: str) -> None:
        """Record that everybody has left `session`."""
        with contextlib.ExitStack() as each:  # one that fails must not affect the others
            for provider in self.providers:
                each.callback(provider.ended, session)

    def lost(self, session: str, invitation: str) -> None:
        """Record that a page that came into `session` with `invitation` lost the server, and perhaps nobody else."""
        with contextlib.ExitStack() as each:  # as above
            for provider in self.providers:
                each.callback(provider.lost, Holder(session, invitation))

    def revoked(self, invitations: Collection[str]) -> None:
        """Have revoked, where a provider can, what was issued for whoever came with one of these invitations."""
        with contextlib.ExitStack() as each:  # as above
            for provider in self.providers:
                each.callback(provider.revoked, invitations)

    def hosts(self) -> frozenset[str]:
        """Return the hosts of all URLs that pages may have been given."""
        return self._hosts

    def provider_hosts(self) -> dict[str, frozenset[str]]:
        """Return the TURN hosts that each provider has named, by its name: also while it does not answer."""
        for provider in self.providers:
            name, urls = provider.configured.name, (url for server in provider.sample() for url in server.urls)
            hosts = {parsed.host for parsed in map(parse_ice_url, urls) if parsed.is_turn}
            known = self._provider_hosts.get(name, frozenset())
            self._provider_hosts[name] = known | hosts if len(known) < _MOST_HOSTS else known
        return self._provider_hosts

    def problems(self) -> dict[str, dict[str, str]]:
        """Return the problems for `GET /readyz`: why URLs are left out, and why providers fail, by name."""
        down = {one.configured.name: one.problem for one in self.providers if one.problem}
        problems = {"left_out": self.watch.health.left_out(), "providers": down}
        return {name: found for name, found in problems.items() if found}

    async def _tend(self) -> None:
        await self.tend()
        links = self._in_order(self.configured.servers, [provider.sample() for provider in self.providers])
        self._tell(tuple(server for link in links for server in link))
        while True:
            await asyncio.sleep(_TEND_EVERY)
            await self.tend()

    async def tend(self) -> None:
        """Tend each provider."""
        tended = await asyncio.gather(*(provider.tend() for provider in self.providers), return_exceptions=True)
        for error in tended:
            if isinstance(error, Exception):
                _log.error("! a provider could not be tended", exc_info=error)

    async def _check(self) -> None:
        while True:
            if self.configured.checks:
                await self.check()
            await asyncio.sleep(self.watch.next_check_after)

    async def check(self) -> dict[str, Check]:
        """Check every server of every link once, and return the results by URL."""
        samples = [(provider, provider.sample()) for provider in self.providers]
        servers = [*self.configured.servers, *(server for _, sample in samples for server in sample)]
        checks = await self.watch.round(servers)
        for provider, sample in samples:
            found = [checks[url].problem for server in sample for url in server.urls if url in checks]
            if any(problem.startswith("401") for problem in found):
                provider.distrust()
        return checks

    def _tell(self, servers: tuple[ConfiguredServer, ...]) -> None:
        urls = tuple(url for server in servers for url in server.urls)
        if urls == self._looked_at:
            return
        self._looked_at = urls
        for one in left_out(servers):
            if one.url not in self._told:
                self._told.add(one.url)
                _log.warning("! no page gets %s: %s", one.url, one.why)
