"""Hosts and their links: cables, tunnels, addresses and default routes."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING

from tests.lab import delay as line
from tests.lab.plumbing import Boxes, run
from tests.lab.sites import LabError, Link, free_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.sites import Host, Place

# In one process, lest a browser sees the link long before the addresses. 3 is BR_STATE_FORWARDING (linux/if_bridge.h).
# The kernel's thread that changes the states needs the processor, too.
_WHEN_FORWARDING = (
    'ip -n "$0" link set "$1" up && '
    'until read -r port <"$2" && [ "$port" = 3 ] && read -r lan <"$3" && [ "$lan" = up ]; do sleep 0.002; done && '
    'exec ip -n "$0" -batch -'
)


class Hosts(Boxes):
    """The lab's hosts at their places."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}

    def set_link(self, host: Host, *, up: bool) -> None:
        """Pull a host's cable, or plug it in again: the host knows at once."""
        if not up:
            self._batch(host.node, [f"link set {host.link.interface} down"])
            return
        self._come_up(host, host.link)

    def readdress(self, host: Host) -> None:
        """Give a host another address on its LAN, as a DHCP server does that lost its memory; its link comes up."""
        link = host.link
        link.ipv4, link.ipv6 = free_addresses(link.place)
        self._batch(host.node, [f"addr flush dev {link.interface} scope global"])
        self._come_up(host, link)

    def set_ipv6(self, host: Host, *, up: bool) -> None:
        """Take IPv6 from a host, as when its router no longer advertises it, or give it a new address; IPv4 stays."""
        link = host.link
        if not link.place.lan6:
            raise LabError(f"there is no IPv6 at {link.place.site.name}")
        if not up:
            # With its last address the interface would keep the route.
            lost = [f"addr del {link.ipv6}/64", f"route del default via {link.place.lan6[1]}"]
            self._batch(host.node, [f"{each} dev {link.interface}" for each in lost])
            link.ipv6, link.lost_ipv6 = None, link.ipv6
            return
        link.ipv6 = free_addresses(link.place)[1]
        self._come_up(host, link)

    def move(self, host: Host, to: Place) -> None:
        """Move a host to another site's LAN by another interface, as from Wi-Fi to LTE: the old one goes away."""
        new = Link(place=to, interface=_next_interface(host, "eth"))
        self._unplug(host, host.link)
        self._go_out_by(host, new)
        self._plug_in(host, new)

    def join(self, host: Host, to: Place, *, tunnel: bool = False) -> Link:
        """Join a host to a place, by another interface, which takes the default route; the old one stays as it is.

        `tunnel`: by a TUN device to the place's router, as a VPN is.
        """
        link = Link(place=to, interface=_next_interface(host, "tun" if tunnel else "eth"))
        self._go_out_by(host, link)
        if tunnel:
            self._dig(host, link)
        else:
            self._plug_in(host, link)
        return link

    def lead(self, host: Host, link: Link) -> None:
        """Let a host's default route lead over another of its links: sockets bound to an address do not follow."""
        self._go_out_by(host, link)
        self._batch(host.node, _host_routes(link))

    def hold(self, host: Host, link: Link) -> None:
        """Let what has the link's address go out by it, whatever the default route is.

        That is how phones, macOS and Windows treat bound sockets (the strong host model, RFC 1122, 3.3.4.2); Linux
        sends by the default route what has the other interface's address, and it is lost.
        """
        if not (link.ipv4 and link.place.lan):
            raise LabError(f"{link.interface} of {host.node} has no IPv4 address")
        number = _table(link)
        self._batch(
            host.node,
            [
                f"route add {link.place.lan} dev {link.interface} table {number}",
                f"route add default via {link.place.gateway} dev {link.interface} table {number}",
                f"rule add from {link.ipv4} lookup {number}",
            ],
        )

    def release(self, host: Host, link: Link) -> None:
        """Undo `hold`."""
        if f"lookup {_table(link)}" in self.run(host.node, ["ip", "rule"]):
            self._batch(host.node, [f"rule del lookup {_table(link)}", f"route flush table {_table(link)}"])

    def leave(self, host: Host, link: Link) -> None:
        """Take one of a host's links away; if its default route led there, the one before it has it again."""
        self._unplug(host, link)
        self._go_out_by(host, host.link)
        self._batch(host.node, _host_routes(host.link))

    # How a host is connected

    def _go_out_by(self, host: Host, link: Link) -> None:
        """Make a link the host's first, and count the host where that leads."""
        for place in self.places.values():
            if host in place.hosts:
                place.hosts.remove(host)
        link.place.hosts.append(host)
        host.links = [link, *(each for each in host.links if each is not link)]

    def _plug_in(self, host: Host, link: Link) -> None:
        """Connect a host to a place's LAN."""
        place = link.place
        link.port = f"lan{secrets.token_hex(3)}"
        self._batch(
            place.router,
            [
                f"link add {link.port} type veth peer name {link.interface} netns {self.namespace(host.node)}",
                f"link set {link.port} master lan up",
            ],
        )
        link.ipv4, link.ipv6 = free_addresses(place)
        place.links.append(link)
        self._come_up(host, link)

    def _dig(self, host: Host, link: Link) -> None:
        """Connect a host to a place's router by a tunnel."""
        place = link.place
        link.port = f"tun{secrets.token_hex(3)}"
        link.ipv4 = free_addresses(place)[0]
        if not link.ipv4:
            raise LabError("tunnels are built for IPv4 only")
        place.links.append(link)
        self._batch(host.node, [f"tuntap add dev {link.interface} mode tun"])
        self._batch(place.router, [f"tuntap add dev {link.port} mode tun"])
        program = line.command(line.Delay(), link.port, self.namespace(host.node), link.interface)
        link.tunnel = self._start_line(place.router, program)
        self._batch(place.router, [f"link set {link.port} up", f"route add {link.ipv4}/32 dev {link.port}"])
        self._batch(
            host.node,
            [
                f"addr add {link.ipv4}/32 dev {link.interface}",
                f"link set {link.interface} up",
                *_host_routes(link),
            ],
        )

    def _unplug(self, host: Host, link: Link) -> None:
        self.release(host, link)
        if link.tunnel:
            self.stop(link.tunnel)
            self._batch(link.place.router, [f"link del {link.port}"])
        self._batch(host.node, [f"link del {link.interface}"])
        link.place.links.remove(link)
        host.links.remove(link)

    def _come_up(self, host: Host, link: Link) -> None:
        """Bring a host's link up, and give it its addresses when the link passes packets, as a DHCP server would.

        Before, the bridge may drop the first packet, or the router its answer: each seventh time, and its sender tries
        again after a second.
        """
        router = ["ip", "netns", "exec", self.namespace(link.place.router)]
        states = [f"/sys/class/net/{link.port}/brport/state", "/sys/class/net/lan/operstate"]
        run(
            [*router, "sh", "-c", _WHEN_FORWARDING, self.namespace(host.node), link.interface, *states],
            stdin="".join(f"{line}\n" for line in (*_host_addresses(link), *_host_routes(link))),
        )

    def _start_line(self, node: str, program: Sequence[str]) -> subprocess.Popen[str]:
        process = self.popen(node, program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not process.stdout or process.stdout.readline().strip() != "ready":
            raise LabError(f"a line of {node} did not start")
        return process


def _next_interface(host: Host, kind: str) -> str:
    return f"{kind}{max((int(link.interface[3:]) for link in host.links), default=-1) + 1}"


def _table(link: Link) -> int:
    """Return the number of the routing table for what has the link's address (`hold`)."""
    return 1000 + int(link.interface[3:])


def _host_addresses(link: Link) -> list[str]:
    addresses = []
    if link.ipv4 and link.place.lan:
        addresses.append(f"addr replace {link.ipv4}/{link.place.lan.prefixlen} dev {link.interface}")
    if link.ipv6:
        addresses.append(f"addr replace {link.ipv6}/64 dev {link.interface} nodad")
    return addresses


def _host_routes(link: Link) -> list[str]:
    place = link.place
    if link.tunnel:
        return [f"route replace default dev {link.interface}"]
    routes = [f"route replace default via {place.gateway} dev {link.interface}"] if place.gateway else []
    if place.lan6:
        routes.append(f"route replace default via {place.lan6[1]} dev {link.interface}")
    return routes
