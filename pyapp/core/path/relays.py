"""Which ICE servers the next gathering uses: silent relays come last, and relays that are not needed are left out.

    a relay went silent              it is set aside until it is seen well again, and spares are asked for
    on a relay                       a direct path is looked for after a minute, and then with doubling pauses
    on a direct path for a while     the relays that were gathered beside it are given up
    the budget for relays is used up none is gathered any more; one that is in use is kept

It lives as long as the page: what was learned of a relay holds for the next connection, too.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.timers import RelaysTimer
from pyapp.protocol.ice import IceConfiguration, IceError, IceServer, IceUrl, parse_ice_url, parse_reported_url

DIRECT, RELEASE = RelaysTimer.DIRECT, RelaysTimer.RELEASE
TIMERS = tuple(RelaysTimer)

FIRST_DIRECT_AFTER, LAST_DIRECT_AFTER = 60.0, 1800.0
"""Seconds on a relay before a direct path is looked for again, doubling from the first to the last."""

RELEASE_AFTER = 25.0
"""Seconds on a direct path after which the relays that were gathered beside it are given up by an ICE restart without
them: nothing else makes a browser release the allocations. Chromium keeps them for another half a minute."""

_Relay: TypeAlias = tuple[IceServer, str, IceUrl]
"""A server of the configuration, and one of its URLs, as it is written and as it is read."""

MOST_SUSPECTED = 8
"""Hosts that can be set aside beside our own: the peer can name any number."""


@dataclass(slots=True)
class Relays:
    """The ICE servers that we were given, and what we know of their relays. `policy` is the page's."""

    policy: Literal["all", "relay"] = "all"
    configuration: IceConfiguration = field(default_factory=IceConfiguration)
    """The last configuration of the server's; without ICE servers before the first."""
    suspected: frozenset[str] = frozenset()
    """Hosts of relays that went silent, until they work again; at most as many as the server can be told."""
    _direct_after: float = field(init=False, default=FIRST_DIRECT_AFTER)
    _expire_at: float = field(init=False, default=math.inf)

    @property
    def ranked(self) -> IceConfiguration:
        """The configuration, with the preferred servers first."""
        return self.configuration.preferring(self.suspected)

    def usual(self, *, gathered: bool) -> IceConfiguration:
        """Return the configuration for gathering outside an outage: with relays, or without if they were given up."""
        return self.ranked if gathered else self.configuration.without_relays()

    def configured(self, configuration: IceConfiguration, now: float) -> None:
        """Take a new configuration, whose lifetime begins at `now`."""
        self._expire_at = now + (math.inf if configuration.lifetime is None else configuration.lifetime)
        self.configuration = replace(configuration, policy="relay") if self.policy == "relay" else configuration

    @property
    def are_there(self) -> bool:
        """Whether a relay can be gathered."""
        return bool(self.configuration.relay_hosts)

    def withhold(self) -> None:
        """Gather no relays until the next configuration: the server gives none either."""
        self.configuration = self.configuration.without_relays()

    def slept(self, seconds: float) -> None:
        """Account for `seconds` that `now` does not count."""
        self._expire_at -= seconds

    def have_expired(self, now: float) -> bool:
        """Return whether our credentials have expired."""
        return now >= self._expire_at

    def set_aside(self, url: str) -> bool:
        """Set a relay aside from the next gathering on; return whether `url` names one."""
        try:
            host = parse_reported_url(url).host
        except IceError:  # the peer can send anything, and a browser may not name its relay
            return False
        if host in self.configuration.relay_hosts or len(self.suspected) < MOST_SUSPECTED:
            self.suspected |= {host}
        return host in self.suspected

    def answered(self, url: str) -> str:
        """Record that the relay at `url` works; return its host if it was suspected, or empty."""
        host = parse_reported_url(url).host if self.suspected else ""
        if host not in self.suspected:
            return ""
        self.suspected -= {host}
        return host

    def named(self, report: PathReport) -> PathReport:
        """Return `report` with our relay, if the browser does not say which it is (Firefox) and only one can be it.

        A relayed address is that of the server's host, as configured or as the console's server has seen it; a relay
        that is reached by a name may have any.
        """
        local = report.local
        if local.type != "relay" or local.url:
            return report
        fitting = [one for one in self._relays() if one[2].transport == local.relay_protocol]
        url = _of_one_host([one for one in fitting if _relays_from(local.address, *one)]) or _of_one_host(fitting)
        return replace(report, likely_relay=url)

    def relayed_from(self, address: str) -> str:
        """Return a URL of the relay whose relayed address that is, or nothing if it is not known, or of several."""
        return _of_one_host([one for one in self._relays() if _relays_from(address, *one)])

    def _relays(self) -> list[_Relay]:
        servers = self.configuration.servers
        urls = [(server, text, parse_ice_url(text)) for server in servers for text in server.urls]
        return [one for one in urls if one[2].is_turn]

    def review(self, report: PathReport, *, gathered: bool) -> list[Command]:
        """Start the timers for the path in `report` that reduce the use of relays."""
        if self.policy == "relay":
            return []
        if report.path == "relay":
            return [commands.StartTimer(DIRECT, self._direct_after, only_if_idle=True)]
        return [commands.StartTimer(RELEASE, RELEASE_AFTER, only_if_idle=True)] if gathered else []

    def looked_for_direct_path(self) -> None:
        """Double the pause before the next time."""
        self._direct_after = min(self._direct_after * 2, LAST_DIRECT_AFTER)

    def surroundings_changed(self) -> list[Command]:
        """Look for a direct path again soon: our network, or the peer, has changed."""
        self._direct_after = FIRST_DIRECT_AFTER
        return [commands.CancelTimer(DIRECT)]  # the next report of the path starts it again


def _relays_from(address: str, server: IceServer, _: str, url: IceUrl) -> bool:
    return address in (url.host.strip("[]"), *server.relayed)


def _of_one_host(relays: list[_Relay]) -> str:
    return relays[0][1] if len({url.host for _, _, url in relays}) == 1 else ""
