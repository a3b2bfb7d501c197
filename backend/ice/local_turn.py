"""The local coturn over the life of the server: it runs while the configuration names no TURN server.

It listens on the addresses that this machine has now; `coturn.py` has the process.

If it was started before the network, or the network changes, it continues on the present addresses; it keeps its
secret, so that the pages' credentials stay valid.
"""

import asyncio
import contextlib
import logging
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from backend.access.callers import is_loopback
from backend.ice.address_changes import address_changes
from backend.ice.coturn import HOW_TO_INSTALL, Coturn, coturn_configuration, find_coturn
from backend.ice.ice_servers import ConfiguredIce, ConfiguredServer
from backend.ice.interfaces import RelayNetwork, own_addresses, primary_addresses, relay_network, resolve_all
from backend.settings import StartError, TlsFiles

_log = logging.getLogger("ice_console.coturn")


def wants_local_turn(configured: ConfiguredIce, *, is_allowed: bool) -> bool:
    """Return whether it is to run beside `configured`, if it `is_allowed` (`--turn`)."""
    return is_allowed and not any(server.is_turn for server in configured.servers)


class LocalTurn:
    """Use as `async with LocalTurn(...).running()`."""

    def __init__(self, hosts: Sequence[str], *, name: str, tls: TlsFiles | None) -> None:
        """`hosts` is where the server listens; `name` is the host that pages are given, if not the one they requested.

        A name means that clients reach the server under it, whatever proxy is in front: then coturn listens on every
        address.
        """
        self._hosts = tuple(hosts) if not name or is_loopback(name) else ("::",)
        self._name = name
        self._tls = tls
        self._is_wanted = False
        self._lock = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()
        self._was_told = False
        self.coturn: Coturn | None = None

    def servers(self, host: str) -> tuple[ConfiguredServer, ...]:
        """Return the servers for a page that requested `host`; none if coturn is not running or out of its reach."""
        return self.coturn.configuration.servers(host, name=self._name) if self.coturn else ()

    @contextlib.asynccontextmanager
    async def running(self, *, is_wanted: bool) -> AsyncIterator["LocalTurn"]:
        """Run it while it `is_wanted`, and follow this machine's addresses. Raises `StartError`."""
        self._is_wanted = is_wanted
        # Before the addresses are read for the first time: the network may be coming up just now.
        with address_changes() as changes:
            try:
                await self._adapt()
                following = asyncio.create_task(self._follow(changes))
                try:
                    yield self
                finally:
                    following.cancel()
                    await asyncio.wait([following])
            finally:
                await self._stack.aclose()

    async def want(self, *, is_wanted: bool) -> None:
        """Start or stop it as needed."""
        self._is_wanted = is_wanted
        await self._adapt()

    def renew_certificate(self) -> None:
        """Make it reload its certificate."""
        if self.coturn:
            self.coturn.renew_certificate()

    async def _follow(self, changes: AsyncIterator[None]) -> None:
        async for _ in changes:
            try:
                await self._adapt()
            except (OSError, StartError, subprocess.SubprocessError) as error:
                _log.warning("! the addresses of this machine cannot be told: %s", error)

    async def _adapt(self) -> None:
        async with self._lock:
            if not self._is_wanted:
                await self._stack.aclose()
                self.coturn = None
                return
            if not (program := find_coturn()):
                if not self._was_told:
                    _log.warning("! %s", HOW_TO_INSTALL)
                self._was_told = True
                return
            network = await asyncio.to_thread(self._network)
            if not network.listening:
                return  # there is no address yet
            if self.coturn is None:
                configuration = coturn_configuration(program, network=network, tls=self._tls)
                self.coturn = await self._stack.enter_async_context(Coturn(configuration).running())
            elif network != self.coturn.configuration.network:
                _log.info("= the addresses of this machine have changed: coturn goes on with %s", _listed(network))
                await self.coturn.change(replace(self.coturn.configuration, network=network))

    def _network(self) -> RelayNetwork:
        hosts = [address for host in self._hosts for address in resolve_all(host)]
        return relay_network(hosts, addresses=own_addresses(), primary=primary_addresses())


def _listed(network: RelayNetwork) -> str:
    return ", ".join(network.relaying)
