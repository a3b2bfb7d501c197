"""The rows in which something happens to the network or to a server: outages, and what comes close to one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.lab.recovery_rows import CHANGED, EITHER_CHANGED, SILENT, Row, Target
from tests.lab.recovery_scene import (
    EASY_FAR,
    FAR,
    HARD_FAR,
    HARD_HOME,
    HOME,
    MOBILE,
    NO_UDP,
    TLS_ONLY,
    V6_FAR,
    V6_HOME,
    VPN,
    last,
)
from tests.lab.sites import PUBLIC_ADDRESSES, TURN1, TURN2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.recovery_scene import Scene

_UNPLUGGED = 0.02
"""Seconds that a cable is out: a browser that reads of both in one go sees no change."""

_DOCKING = 2.0
"""Seconds between the cable that is plugged in and the radio that goes."""


def _new_address(scene: Scene, side: int = 0) -> None:
    """Take the link down and up, and give another address: of the address alone the browser would not be told."""
    network, host = scene.lab.network, scene.hosts[side]
    network.set_link(host, up=False)
    last(_UNPLUGGED)
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


def _joined(place: str, *, tunnel: bool = False, leads: bool = True) -> Callable[[Scene], None]:
    """Join the first to another place, too, by an interface that takes the default route, or does not."""

    def joined(scene: Scene) -> None:
        network, host = scene.lab.network, scene.hosts[0]
        before = host.link
        after = network.join(host, scene.place(place), tunnel=tunnel)
        scene.undo.append(lambda: network.leave(host, after) if after in host.links else None)
        if not leads:
            network.lead(host, before)

    return joined


def _lead_other(scene: Scene) -> None:
    """Move the default route to the other interface: both stay up, and sockets bound to an address lose their way."""
    network, host = scene.lab.network, scene.hosts[0]
    before, other = host.links[:2]
    network.lead(host, other)
    scene.undo.append(lambda: network.lead(host, before))


def _dock(scene: Scene) -> None:
    """Plug a cable into the LAN that the first is on by radio; a little later the radio is switched off."""
    network, host, home = scene.lab.network, scene.hosts[0], scene.places[0]
    radio = host.link
    network.join(host, home)
    last(_DOCKING)
    network.leave(host, radio)


def _undo_tunnel(scene: Scene) -> None:
    host = scene.hosts[0]
    scene.lab.network.leave(host, host.link)


def _return(scene: Scene) -> None:
    """Come home to a network with a direct path, while the other one still works, as with phones and most systems."""
    network, host = scene.lab.network, scene.hosts[0]
    old = host.link
    network.hold(host, old)
    scene.undo.append(lambda: network.release(host, old))
    _joined(HOME)(scene)


def _ipv6(*, comes: bool) -> Callable[[Scene], None]:
    def changed(scene: Scene) -> None:
        network, host = scene.lab.network, scene.hosts[0]
        network.set_ipv6(host, up=comes)
        if not comes:
            scene.undo.append(lambda: network.set_ipv6(host, up=True) if not host.ipv6 else None)

    return changed


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


def _to_relay_and_new_address(scene: Scene, side: int) -> None:
    if side == 0:
        _to(HARD_HOME)(scene)
    else:
        _new_address(scene, side)


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
        last(seconds)
        scene.lab.network.set_uplink(place, up=True)
        return time.time()

    return gone


def _targets(near: tuple[float, float], far: tuple[float, float]) -> dict[float, Target]:
    return {0.0: Target(p50=near[0], p95=near[1]), 25.0: Target(p50=far[0], p95=far[1])}


def events(*, away: float = 20.0) -> list[Row]:
    """Return the rows of the table in which something happens; `away` is how long an uplink is gone."""
    silent = _targets((0.7, 0.9), (0.9, 1.2))
    relay = _targets((0.9, 1.2), (1.1, 1.4))
    spare = _targets((0.4, 0.5), (0.6, 0.8))
    narrow = _targets((0.9, 1.2), (1.5, 1.9))
    routed = _targets((0.6, 0.8), (0.9, 1.2))
    return [
        Row(
            name="address",
            title="new address on the same LAN",
            act=_new_address,
            targets=_targets((0.45, 0.6), (0.9, 1.2)),
            cause=CHANGED,
        ),
        Row(
            name="address-silent",
            title="the same, no browser event",
            act=_other_address,
            targets=silent,
            cause=SILENT,
        ),
        Row(
            name="handover",
            title="Wi-Fi to LTE",
            act=_to(MOBILE),
            targets=_targets((0.45, 0.6), (1.0, 1.2)),
            cause=CHANGED,
        ),
        Row(
            name="direct-again",
            title="Wi-Fi that needs a relay to LTE that does not",
            act=_to(MOBILE),
            places=(HARD_HOME, FAR),
            path="direct",
            targets=_targets((0.45, 0.6), (1.0, 1.2)),
            cause=CHANGED,
        ),
        # The far end's port-restricted NAT and each of these have no direct path between them (`expect.py`).
        Row(
            name="to-symmetric",
            title="Wi-Fi to a symmetric NAT, which needs a relay",
            act=_to(HARD_HOME),
            path="relay",
            targets=_targets((0.7, 0.9), (1.2, 1.5)),
            cause=CHANGED,
        ),
        Row(
            name="to-udp-blocked",
            title="Wi-Fi to a network that blocks UDP",
            act=_to(NO_UDP),
            path="relay",
            targets=narrow,
            cause=CHANGED,
            over="TLS",
        ),
        Row(
            name="to-tls-only",
            title="Wi-Fi to a network with TLS on 443 alone",
            act=_to(TLS_ONLY),
            path="relay",
            targets=narrow,
            cause=CHANGED,
            over="TLS",
        ),
        *(
            Row(
                name=f"back-from-{name}",
                title=f"back to Wi-Fi from {words}, which stays",
                act=_return,
                places=(place, FAR),
                path="direct",
                within=5.0,
                most=0.2,
                restarts=None,
                repeats=False,
            )
            for name, words, place in (
                ("symmetric", "a symmetric NAT", HARD_HOME),
                ("udp-blocked", "UDP blocked", NO_UDP),
                ("tls-only", "TLS on 443 alone", TLS_ONLY),
            )
        ),
        Row(
            name="dock",
            title="docked: a cable joins, the radio goes",
            act=_dock,
            targets=routed,
            seconds=_DOCKING,
        ),
        Row(
            name="route",
            title="default route moves, both interfaces stay",
            act=_lead_other,
            ready=_joined(MOBILE, leads=False),
            targets=routed,
        ),
        Row(
            name="route-back",
            title="the same, from the second interface to the first",
            act=_lead_other,
            ready=_joined(MOBILE),
            targets=routed,
        ),
        Row(name="vpn-up", title="VPN comes up", act=_joined(VPN, tunnel=True), targets=routed),
        Row(
            name="vpn-down",
            title="VPN goes down",
            act=_undo_tunnel,
            ready=_joined(VPN, tunnel=True),
            targets=routed,
            repeats=False,
        ),
        Row(
            name="ipv6-goes",
            title="IPv6 goes, IPv4 stays",
            act=_ipv6(comes=False),
            places=(V6_HOME, V6_FAR),
            path="direct",
            targets=routed,
            restarts=None,  # without permission host candidates are names, and IPv4 was in use
        ),
        Row(
            name="ipv6-comes",
            title="IPv6 comes, IPv4 stays",
            act=_ipv6(comes=True),
            ready=_ipv6(comes=False),
            places=(V6_HOME, V6_FAR),
            path="direct",
            most=0.2,
            restarts=None,
            repeats=False,
        ),
        Row(
            name="renumber",
            title="public address changes, no browser event",
            act=_renumber,
            targets=silent,
            cause=SILENT,
        ),
        Row(
            name="forget",
            title="NAT forgets the mapping",
            act=_forget,
            places=(HARD_HOME, EASY_FAR),  # one that keeps ports would only make the same mapping again
            targets=silent,
            cause=SILENT,
        ),
        Row(
            name="forget-relayed",
            title="the same, while relayed",
            act=_forget,
            places=(HARD_HOME, HARD_FAR),
            targets=silent,
            cause=SILENT,
        ),
        Row(
            name="both",
            title="both sites change at the same moment",
            act=_both(_new_address),
            targets=_targets((0.5, 0.9), (0.8, 1.0)),
            cause=EITHER_CHANGED,
        ),
        Row(
            name="both-relay",
            title="the same, one of them to a symmetric NAT",
            act=_both(_to_relay_and_new_address),
            path="relay",
            targets=_targets((0.7, 0.9), (1.2, 1.5)),
            cause=EITHER_CHANGED,
        ),
        Row(
            name="both-silent",
            title="both sites change, no browser event at either",
            act=_both(lambda scene, side: scene.lab.network.renumber(scene.places[side])),
            targets=_targets((0.5, 0.9), (0.8, 1.0)),
            cause=SILENT,
        ),
        Row(
            name="turn-killed",
            title="TURN server in use killed",
            act=_kill_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=relay,
            cause=SILENT,
            repeats=False,
        ),
        Row(
            name="turn-swallowed",
            title="TURN server in use black-holed",
            act=_swallow_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=relay,
            cause=SILENT,
            repeats=False,
        ),
        Row(
            name="turn-killed-standby",
            title="TURN server in use killed, standby path",
            act=_kill_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=spare,
            standby=True,
            of_yardstick=False,
            cause=SILENT,
            repeats=False,
        ),
        Row(
            name="turn-swallowed-standby",
            title="TURN server in use black-holed, standby path",
            act=_swallow_relay,
            places=(HARD_HOME, HARD_FAR),
            targets=spare,
            standby=True,
            of_yardstick=False,
            cause=SILENT,
            repeats=False,
        ),
        Row(
            name="server",
            title="signaling server killed and started again",
            act=_restart_server,
            most=0.3,
            restarts=False,
            of_yardstick=False,
            says=frozenset({"server-back"}),
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
