"""The health of the ICE servers: checked by this server twice a minute, and learned from the pages' journals."""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.ice.checking import check
from backend.ice.credentials import turn_credentials
from backend.ice.health import Check, Health
from backend.ice.ice_servers import ConfiguredServer
from backend.ice.nearest import Nearest, network_of
from pyapp.protocol.ice import IceConfiguration, IceError, parse_ice_url, parse_reported_url
from pyapp.protocol.journal import JournalEntry

_log = logging.getLogger("ice_console.ice")

CHECK_EVERY, CHECK_AGAIN_AFTER = 30.0, 5.0
"""Seconds between two checks, and before a second one if the first has news of a server."""

MOST_URLS = 64
"""URLs that are checked in a round."""
_AT_ONCE = 4
_LONGEST_ANSWER = 60_000
"""Milliseconds that a page's check may have waited for an answer: more is no time."""
_GOOD_FOR = 300
"""Lifetime of a check's credentials in seconds, with allowance for the servers' clocks."""


class Watch:
    """What is known of the servers, and the checks."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, tls: ssl.SSLContext | None = None) -> None:
        """`clock` is a monotonic clock in seconds; `tls` says which certificates are trusted."""
        self.health = Health()
        self.nearest = Nearest()
        self._clock = clock
        self._tls = tls
        self._unchecked = 0
        """URLs beyond those that are checked, as the log was told."""

    async def round(self, servers: Sequence[ConfiguredServer], *, most: int = MOST_URLS) -> dict[str, Check]:
        """Check the first `most` URLs of `servers` once, log what has changed, and return the results."""
        named = [(url, server) for server in servers for url in server.urls]
        asked = named[:most]
        if (unchecked := len(named) - len(asked)) > self._unchecked:
            _log.warning("! %d URLs are never checked, from %s on: at most %d are", unchecked, named[most][0], most)
            self._unchecked = unchecked
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(url: str, server: ConfiguredServer) -> Check:
            username, credential = server.username, server.credential
            if server.secret:
                issued = turn_credentials(server.secret, name="check", expires=int(time.time()) + _GOOD_FOR)
                username, credential = issued.username, issued.credential
            async with gate:
                return await check(url, username, credential, tls=self._tls)

        checks = await asyncio.gather(*(ask(url, server) for url, server in asked))
        self.health.keep([url for server in servers for url in server.urls])
        for (url, _), found in zip(asked, checks, strict=True):
            self.health.checked(url, found, self._clock())
        self._review()
        return {url: found for (url, _), found in zip(asked, checks, strict=True)}

    def heard(self, participant: str, address: str, entries: Iterable[JournalEntry]) -> None:
        """Take the journal entries on gathering of a page at `address`."""
        network = network_of(address)
        for entry in entries:
            if entry.event == "candidate-local" and "type" in entry.data:
                self._candidate(participant, network, entry)
            elif entry.event == "state" and entry.data.get("value") == "gathering":
                self.nearest.gathering(participant, entry.at / 1000)
            elif entry.event == "candidate-error" and "lookup" not in str(entry.data.get("reason")):
                # Chromium looks a name up for IPv4 and for IPv6, and tells of each that is not there.
                self._said(participant, network, entry.data.get("url"), answered=False)

    def tested(self, address: str, report: Mapping[str, Any]) -> None:
        """Take what a page at `address` has found by asking each URL by itself (`report` of its check, in ms)."""
        network = network_of(address)
        asked = report.get("urls")
        for found in asked if isinstance(asked, list) else ():
            answered = found.get("answered") if isinstance(found, dict) else None
            if not isinstance(answered, (int, float)) or not 0 <= answered < _LONGEST_ANSWER:
                continue  # that there was none is not certainly the server's fault
            self._said(address, network, found.get("url"), answered=True)
            with contextlib.suppress(IceError):
                parsed = parse_ice_url(str(found.get("url")))
                if parsed.is_turn and parsed.transport == "udp" and self.health.knows(parsed.host):
                    self.nearest.measured(network, parsed.host, answered / 1000)

    @property
    def next_check_after(self) -> float:
        """Seconds until the next round."""
        return CHECK_AGAIN_AFTER if self.health.is_unsettled else CHECK_EVERY

    def well(self, servers: Sequence[ConfiguredServer]) -> list[ConfiguredServer]:
        """Return `servers` without URLs that fail for everybody. If no relay would be left, all of them stay."""
        well = [
            replace(server, urls=urls)
            for server in servers
            if (urls := tuple(url for url in server.urls if not self.health.is_left_out(url)))
        ]
        return well if any(server.is_turn for server in well) else list(servers)

    def nearest_first(self, servers: Sequence[ConfiguredServer], address: str) -> list[ConfiguredServer]:
        """Return `servers` with TURN hosts that are nearer to `address` first; STUN servers keep their places."""
        hosts = {id(server): parse_ice_url(server.urls[0]).host for server in servers if server.is_turn}
        order = self.nearest.order(network_of(address), list(dict.fromkeys(hosts.values())), self.health.seconds)
        turn = iter(sorted((one for one in servers if one.is_turn), key=lambda one: order.index(hosts[id(one)])))
        return [next(turn) if server.is_turn else server for server in servers]

    def with_relayed(self, configuration: IceConfiguration) -> IceConfiguration:
        """Return `configuration` with the addresses at which relays of its servers were reached in the checks."""
        servers = (replace(server, relayed=self.health.relayed(server.urls)) for server in configuration.servers)
        return replace(configuration, servers=tuple(servers))

    def _candidate(self, participant: str, network: str, entry: JournalEntry) -> None:
        url = entry.data.get("server")
        self._said(participant, network, url, answered=True)
        at, gathering = entry.at / 1000, str(entry.data.get("ufrag", ""))
        if entry.data["type"] != "relay":
            self.nearest.candidate(participant, gathering, at if entry.data["type"] == "host" else None)
        elif isinstance(url, str):
            with contextlib.suppress(IceError):
                parsed = parse_reported_url(url)
                if parsed.transport == "udp" and self.health.knows(parsed.host):
                    self.nearest.relay(participant, network, gathering, at, parsed.host)

    def _said(self, participant: str, network: str, url: object, *, answered: bool) -> None:
        if isinstance(url, str) and url:
            self.health.heard(participant, network, url, answered=answered, now=self._clock())

    def _review(self) -> None:
        for change in self.health.review(self._clock()):
            if change.problem:
                _log.warning("! %s fails for all and is left out: %s", change.url, change.problem)
            else:
                _log.info("= %s is well again", change.url)
