"""What happens to a session that is measured: the rows of the table, each with what it does to the lab and to whom."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tests.lab import kinds
from tests.lab.delay import Delay
from tests.lab.sites import PUBLIC_ADDRESSES, TURN1, TURN2, LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.lab.browser import End
    from tests.lab.kinds import Kind
    from tests.lab.lab import Lab
    from tests.lab.recovery_server import ConsoleServer
    from tests.lab.sites import Host, Place

HOME, FAR, MOBILE = "rec-home", "rec-far", "rec-mobile"
HARD_HOME, HARD_FAR, EASY_FAR = "rec-hard-home", "rec-hard-far", "rec-easy-far"
NO_UDP, TLS_ONLY = "rec-no-udp", "rec-tls-only"
PLACES: Mapping[str, Kind] = {
    HOME: kinds.PORT_RESTRICTED,
    FAR: kinds.PORT_RESTRICTED,
    MOBILE: kinds.CGN_CONE,
    HARD_HOME: kinds.SYMMETRIC,
    HARD_FAR: kinds.SYMMETRIC,
    EASY_FAR: kinds.RESTRICTED,
    NO_UDP: kinds.UDP_BLOCKED,
    TLS_ONLY: kinds.TLS_443_ONLY,
}
"""Where the two ends can be, and what kind of network it is."""

NOT_REACHED = (
    r"WebSocket connection to '[^']*' failed",
    r"Failed to load resource: net::ERR_",
)
"""What Chromium says on its console when the server is out of reach, whatever a page does."""


GIVEN_UP = (r"WebSocket is closed before the connection is established",)
"""The same of a socket that was opened in doubt, lost a packet or a moment of the machine's, and was given up."""


_UNPLUGGED = 0.02
"""Seconds that a cable is out: a browser that reads of both in one go sees no change."""


@dataclass(kw_only=True)
class Scene:
    """What a row may touch: the network, the two ends where they are now, and the server."""

    lab: Lab
    server: ConsoleServer
    ends: tuple[End, End]
    delay: Delay
    undo: list[Callable[[], None]] = field(default_factory=list)

    @property
    def hosts(self) -> tuple[Host, Host]:
        """The first's, which is the one that most things happen to, and the second's."""
        return self.ends[0].host, self.ends[1].host

    @property
    def places(self) -> tuple[Place, Place]:
        """Where they are."""
        return self.hosts[0].place, self.hosts[1].place

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Seconds that the gap may last: the median, and the 95th percentile."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event, and what is expected of it.

    `act` makes it happen. It returns the Unix time, in seconds, from which the silence counts, or None: from the last
    message before the event. It may leave in `scene.undo` what puts the lab in order again.
    """

    name: str
    title: str
    act: Callable[[Scene], float | None]
    places: tuple[str, str] = (HOME, FAR)
    targets: Mapping[float, Target] = field(default_factory=dict)  # by the delay, one way at each site, in ms
    most: float | None = None  # seconds of silence, for what is no statistics
    bound: float = 5.0  # seconds of silence, generously: a longer one was ended by a timeout of the browser's
    standby: bool = False  # whether it is played to pages that keep a second path ready, and begins when they have one
    path: str = ""  # data-path at both ends afterwards, if it must be this one
    restarts: bool = True  # whether an ICE restart is needed for it; if not, none may happen
    problems: tuple[str, ...] = NOT_REACHED  # what the browser may say on its console
    seconds: float = 0.0  # how long the event itself lasts
    of_yardstick: bool = True  # whether the hand-written page can be measured by it


def _new_address(scene: Scene, side: int = 0) -> None:
    """Take the link down and up, and give another address: of the address alone the browser would not be told."""
    network, host = scene.lab.network, scene.hosts[side]
    network.set_link(host, up=False)
    _last(_UNPLUGGED)
    network.readdress(host)


def _other_address(scene: Scene) -> None:
    scene.lab.network.readdress(scene.hosts[0])


def _to(place: str) -> Callable[[Scene], None]:
    """Move the first to another place, by another interface: the old one is gone."""

    def moved(scene: Scene) -> None:
        host, home = scene.hosts[0], scene.places[0]
        scene.lab.network.move(host, scene.place(place))
        scene.undo.append(lambda: scene.lab.network.move(host, home))

    return moved


def _renumber(scene: Scene) -> None:
    scene.lab.network.renumber(scene.places[0])


def _forget(scene: Scene) -> None:
    scene.lab.network.forget(scene.places[0])


def _both(act: Callable[[Scene, int], None]) -> Callable[[Scene], None]:
    """Do it at both sites, at the same moment as far as two threads can."""

    def at_both(scene: Scene) -> None:
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(act, scene, side) for side in (0, 1)]:
                done.result()

    return at_both


def _kill_relay(scene: Scene) -> None:
    node = scene.relay_in_use()
    server = {TURN1: scene.lab.turn1, TURN2: scene.lab.turn2}[node]
    server.kill()

    def again() -> None:
        server.start()
        server.wait()

    scene.undo.append(again)


def _swallow_relay(scene: Scene) -> None:
    addresses = PUBLIC_ADDRESSES[scene.relay_in_use()].all
    scene.lab.network.cut(addresses)
    scene.undo.append(lambda: scene.lab.network.mend(addresses))


def _restart_server(scene: Scene) -> None:
    scene.server.kill()
    scene.server.start()


def _uplink_gone(seconds: float) -> Callable[[Scene], float]:
    def gone(scene: Scene) -> float:
        place = scene.places[0]
        scene.lab.network.set_uplink(place, up=False)
        _last(seconds)
        scene.lab.network.set_uplink(place, up=True)
        return time.time()

    return gone


def _healthy(seconds: float) -> Callable[[Scene], None]:
    return lambda _: _last(seconds)


def _hidden(seconds: float) -> Callable[[Scene], None]:
    def each_in_turn(scene: Scene) -> None:
        for end in scene.ends:
            end.page.evaluate("pump.hide(true)")
            _last(seconds / 2)
            end.page.evaluate("pump.hide(false)")

    return each_in_turn


def _lossy(seconds: float) -> Callable[[Scene], None]:
    def lossy(scene: Scene) -> None:
        place = scene.places[0]
        scene.lab.network.shape(place, Delay(ms=scene.delay.ms, jitter_ms=30, loss=0.05))
        scene.undo.append(lambda: scene.lab.network.shape(place, scene.delay))
        _last(seconds)

    return lossy


def _last(seconds: float) -> None:
    """Let time pass: how long is what these rows are about."""
    threading.Event().wait(seconds)


def _targets(near: tuple[float, float], far: tuple[float, float]) -> dict[float, Target]:
    return {0.0: Target(p50=near[0], p95=near[1]), 25.0: Target(p50=far[0], p95=far[1])}


def events(*, away: float = 20.0) -> list[Row]:
    """Return the rows of the table in which something happens; `away` is how long an uplink is gone."""
    silent = _targets((0.7, 0.9), (0.9, 1.2))
    relay = _targets((0.9, 1.2), (1.1, 1.4))
    spare = _targets((0.4, 0.5), (0.6, 0.8))
    narrow = _targets((0.9, 1.2), (1.5, 1.9))
    return [
        Row(
            name="address",
            title="new address on the same LAN",
            act=_new_address,
            targets=_targets((0.45, 0.6), (0.9, 1.2)),
        ),
        Row(
            name="address-silent",
            title="the same, no browser event",
            act=_other_address,
            targets=silent,
        ),
        Row(
            name="handover",
            title="Wi-Fi to LTE",
            act=_to(MOBILE),
            targets=_targets((0.45, 0.6), (1.0, 1.2)),
        ),
        Row(
            name="direct-again",
            title="Wi-Fi that needs a relay to LTE that does not",
            act=_to(MOBILE),
            places=(HARD_HOME, FAR),
            path="direct",
            targets=_targets((0.45, 0.6), (1.0, 1.2)),
        ),
        # The far end's port-restricted NAT and each of these have no direct path between them (`expect.py`).
        Row(
            name="to-symmetric",
            title="Wi-Fi to a symmetric NAT, which needs a relay",
            act=_to(HARD_HOME),
            path="relay",
            targets=_targets((0.7, 0.9), (1.2, 1.5)),
        ),
        Row(
            name="to-udp-blocked",
            title="Wi-Fi to a network that blocks UDP",
            act=_to(NO_UDP),
            path="relay",
            targets=narrow,
        ),
        Row(
            name="to-tls-only",
            title="Wi-Fi to a network with TLS on 443 alone",
            act=_to(TLS_ONLY),
            path="relay",
            targets=narrow,
        ),
        Row(name="renumber", title="public address changes, no browser event", act=_renumber, targets=silent),
        Row(
            name="forget",
            title="NAT forgets the mapping",
            act=_forget,
            places=(HARD_HOME, EASY_FAR),  # one that keeps ports would only make the same mapping again
            targets=silent,
        ),
        Row(
            name="forget-relayed",
            title="the same, while relayed",
            act=_forget,
            places=(HARD_HOME, HARD_FAR),
            targets=silent,
        ),
        Row(
            name="both",
            title="both sites change at the same moment",
            act=_both(_new_address),
            targets=_targets((0.5, 0.9), (0.8, 1.0)),
        ),
        Row(
            name="both-silent",
            title="the same, no browser event at either",
            act=_both(lambda scene, side: scene.lab.network.renumber(scene.places[side])),
            targets=_targets((0.5, 0.9), (0.8, 1.0)),
        ),
        Row(
            name="turn-killed",
            title="TURN server in use killed",
            act=_kill_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=relay,
        ),
        Row(
            name="turn-swallowed",
            title="TURN server in use black-holed",
            act=_swallow_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=relay,
        ),
        Row(
            name="turn-killed-standby",
            title="TURN server in use killed, standby path",
            act=_kill_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=spare,
            standby=True,
            of_yardstick=False,
        ),
        Row(
            name="turn-swallowed-standby",
            title="TURN server in use black-holed, standby path",
            act=_swallow_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=spare,
            standby=True,
            of_yardstick=False,
        ),
        Row(
            name="server",
            title="signaling server killed and started again",
            act=_restart_server,
            most=0.3,
            restarts=False,
            of_yardstick=False,
        ),
        Row(
            name="uplink",
            title=f"uplink gone for {away:.0f} s (counted after it is back)",
            act=_uplink_gone(away),
            targets=_targets((0.8, 1.5), (1.2, 2.0)),
            bound=10.0,  # while it is away, each new attempt waits for longer
            seconds=away,
        ),
    ]


def false_alarms(seconds: float) -> list[Row]:
    """Return the rows in which nothing happens, for so many seconds, and nothing may."""
    return [
        Row(
            name=name,
            title=f"{title}, {seconds:.0f} s",
            act=act(seconds),
            restarts=False,
            problems=GIVEN_UP,
            seconds=seconds,
            of_yardstick=False,
        )
        for name, title, act in (
            ("healthy", "nothing happens", _healthy),
            ("hidden", "hidden tab, at each end in turn", _hidden),
            ("lossy", "5 % loss and 30 ms jitter", _lossy),
        )
    ]
