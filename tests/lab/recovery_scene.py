"""Where sessions are measured, and what the rows may touch there."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tests.lab import kinds
from tests.lab.sites import PUBLIC_ADDRESSES, TURN1, TURN2, LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.lab.browser import End
    from tests.lab.delay import Delay
    from tests.lab.kinds import Kind
    from tests.lab.lab import Lab
    from tests.lab.recovery_server import ConsoleServer
    from tests.lab.sites import Host, Place

HOME, FAR, MOBILE = "rec-home", "rec-far", "rec-mobile"
HARD_HOME, HARD_FAR, EASY_FAR = "rec-hard-home", "rec-hard-far", "rec-easy-far"
NO_UDP, TLS_ONLY, VPN = "rec-no-udp", "rec-tls-only", "rec-vpn"
V6_HOME, V6_FAR = "rec-v6-home", "rec-v6-far"
PLACES: Mapping[str, Kind] = {
    HOME: kinds.PORT_RESTRICTED,
    FAR: kinds.PORT_RESTRICTED,
    MOBILE: kinds.CGN_CONE,
    HARD_HOME: kinds.SYMMETRIC,
    HARD_FAR: kinds.SYMMETRIC,
    EASY_FAR: kinds.RESTRICTED,
    NO_UDP: kinds.UDP_BLOCKED,
    TLS_ONLY: kinds.TLS_443_ONLY,
    VPN: kinds.PORT_RESTRICTED,
    V6_HOME: kinds.DUAL_STACK,
    V6_FAR: kinds.DUAL_STACK,
}
"""Where the two ends can be, and what kind of network it is."""


@dataclass(kw_only=True)
class Scene:
    """What a row may touch: the network, the two ends where they are now, and the server."""

    lab: Lab
    server: ConsoleServer
    hosts: tuple[Host, Host]  # the first's, which is the one that most things happen to, and the second's
    delay: Delay
    ends: tuple[End, ...] = ()  # their pages, once they have met
    undo: list[Callable[[], None]] = field(default_factory=list)

    @property
    def places(self) -> tuple[Place, Place]:
        """Where they are."""
        return self.hosts[0].place, self.hosts[1].place

    def put_back(self, *, but: int = 0) -> None:
        """Put the lab in order again, but for the first so many changes."""
        while len(self.undo) > but:
            self.undo.pop()()

    def place(self, name: str) -> Place:
        """Return one of `PLACES`."""
        return self.lab.network.places[name]

    def relay_in_use(self) -> str:
        """Return the node of the TURN server that the session goes through."""
        paths = [end.ask("report")["path"] for end in self.ends]
        for address in (paths[0]["localAddress"], paths[0]["remoteAddress"]):
            for node in (TURN1, TURN2):
                if address and str(ip_address(address)) in PUBLIC_ADDRESSES[node].all:
                    return node
        raise LabError(f"the session is not relayed: {paths}")


def last(seconds: float) -> None:
    """Let time pass: how long is what these rows are about."""
    threading.Event().wait(seconds)
