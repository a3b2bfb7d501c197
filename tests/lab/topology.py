"""An internet in network namespaces, from small values.

With `plumbing.py`, which it stands on, the only file of the lab that changes anything by `ip`, `nft`, `conntrack` and
`sysctl`. The tests ask the same programs what came of it: a check that went through this file would believe it.

::

    server    stun    turn1    turn2          192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 (RFC 5737)
       |        |       |        |            2001:db8:ffff::/48 (RFC 3849)
       +--------+--core-+--------+
                |       |
            carrier     |                     203.0.113.0/24; inside 100.64.0.0/10 (RFC 6598)
                |       |
             router   router                  "wan" of each: a veth, or a line with delay (`delay.py`)
                |       |
          LAN (bridge)  LAN (bridge)          192.168.0.0/16 or 198.51.100.0/24, 2001:db8::/32
            |    |        |
          host  host    host

Every box is a namespace; links are made inside them, so the namespace the lab is started from keeps its interfaces and
its rules. Names begin with `icelab-`, the process id and a random part: labs run side by side, and what is left of one
whose process has died is found by the next.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import tempfile
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab import delay as line
from tests.lab import names, rules
from tests.lab.kinds import Firewall
from tests.lab.plumbing import GATEWAY6, Boxes, default_routes, route_down, run, sweep
from tests.lab.sites import (
    NAMES,
    PUBLIC_ADDRESSES,
    TURN1,
    Carrier,
    Host,
    LabError,
    Link,
    Place,
    free_addresses,
    own_lan,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from ipaddress import IPv6Address

    from tests.lab.kinds import Nat
    from tests.lab.sites import Internet, Site

_GATEWAY = "192.0.2.1"
_CARRIER_GATEWAY = "100.64.0.1"
_MOST_SITES = 38  # as many LANs of public addresses are there
NAT64_DEVICE = "nat64"  # where tayga sits
NAT64_POOL = IPv4Network("10.64.0.0/16")  # behind the NAT64: never seen outside, translated once more

# In one process, lest a browser sees the link long before the addresses. 3 is BR_STATE_FORWARDING (linux/if_bridge.h).
_WHEN_FORWARDING = (
    'ip -n "$0" link set "$1" up && '
    'until read -r state <"$2" && [ "$state" = 3 ]; do :; done && '
    'exec ip -n "$0" -batch -'
)


class Network(Boxes):
    """The lab's network while it stands: a context manager that leaves nothing behind."""

    def __init__(self, internet: Internet | None = None) -> None:
        super().__init__()
        self._sites = internet.sites if internet else ()
        self._stack = contextlib.ExitStack()
        self.places: dict[str, Place] = {}

    def __enter__(self) -> Self:
        """Put up the core, the servers' namespaces and the sites."""
        sweep()
        with contextlib.ExitStack() as stack:
            stack.callback(self._tear_down)
            # The run's folder: private (mkdtemp makes it 0700), it will hold secrets and keys.
            self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{self._prefix}-")))
            (self.directory / "resolv.conf").write_text("nameserver 127.0.0.1\n")
            self._put_up_core()
            for site in self._sites:
                self.attach(site)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Take all of it down."""
        self._stack.close()  # Sites

    def attach(self, site: Site) -> Place:
        """Put up a site."""
        if site.name in self.places:
            raise LabError(f"there is a site {site.name} already")
        kind = site.kind
        number = self._free_number()
        carrier = self._carrier(site, number) if kind.carrier else None
        outside = None
        if kind.nat or kind.nat64:
            outside = carrier.inside[9 + number] if carrier else IPv4Address("203.0.113.9") + number
        place = Place(
            site=site,
            number=number,
            lan=(site.lan or own_lan(kind, number)) if kind.ipv4 else None,
            lan6=IPv6Network(f"2001:db8:{number:x}::/64") if kind.ipv6 else None,
            outside=outside,
            carrier=carrier,
        )
        self.places[site.name] = place
        if carrier:
            carrier.places.append(place)
        for index in range(site.hosts):
            link = Link(place=place, interface="eth0")
            place.hosts.append(Host(node=f"{site.name}-{index}", index=index, links=[link]))
        try:
            self._put_up_site(place)
        except BaseException:
            self.detach(place)
            raise
        return place

    def detach(self, place: Place) -> None:
        """Take a site down, and its carrier with the last site behind it. Hosts go with the site they are in now."""
        gone = [place.router, *(host.node for host in place.hosts)]
        links = [place.uplink]
        if place.line:
            self.stop(place.line)
        if place.carrier:
            place.carrier.places.remove(place)
            if not place.carrier.places:
                gone.append(place.carrier.node)
                links.append(("core", place.carrier.down))
        # A namespace is only unlinked when its removal returns, the kernel empties it later: links go at once.
        for node, device in links:
            with contextlib.suppress(LabError):  # a site that was not put up wholly may have none
                self._batch(node, [f"link del {device}"])
        self._remove_nodes(gone)
        for node in gone:
            self._names.pop(node, None)
        del self.places[place.site.name]

    def address_for(self, place: Place, server: str) -> str:
        """Return the address under which a site's hosts reach a server: behind NAT64 one of its prefix (RFC 6052)."""
        ipv4 = PUBLIC_ADDRESSES[server].ipv4[0]
        if place.nat64_prefix:
            return str(place.nat64_prefix[int(IPv4Address(ipv4))])
        return ipv4 if place.site.kind.ipv4 else PUBLIC_ADDRESSES[server].ipv6[0]

    def start_resolver(self, host: Host) -> subprocess.Popen[str]:
        """Start a host's resolver; it is there when this returns."""
        program: list[str | Path] = [sys.executable, "-I", names.__file__, self._names[host.node]]
        process = self.popen(host.node, program, stdout=subprocess.PIPE)
        if not process.stdout or process.stdout.readline().strip() != "ready":
            raise LabError(f"the resolver of {host.node} did not start")
        return process

    def _write_names(self, name: str, addresses: Mapping[str, Sequence[str]], nodes: Sequence[str]) -> None:
        """Give nodes a table of names."""
        table = self.directory / f"{name}.hosts"
        lines = [f"{one} {NAMES[server]}" for server, several in addresses.items() for one in several]
        table.write_text("\n".join(["127.0.0.1 localhost", *lines]) + "\n")
        for node in nodes:
            self._names[node] = table

    def _names_at(self, place: Place) -> dict[str, Sequence[str]]:
        """Return what a site's resolver says of the servers.

        Behind NAT64 it is a DNS64 (RFC 6147): it makes IPv6 addresses for servers that have none. There the first TURN
        server has none, so that the NAT64 is used; the second has one, else no browser that hides its host candidates
        could tell its IPv6 address to anybody.
        """
        kind = place.site.kind
        return {
            server: [self.address_for(place, server)]
            if kind.nat64 and server == TURN1
            else (each.ipv4[:1] if kind.ipv4 else ()) + (each.ipv6[:1] if kind.ipv6 else ())
            for server, each in PUBLIC_ADDRESSES.items()
        }

    # What changes at run time

    def shape(self, place: Place, delay: line.Delay) -> None:
        """Give a site's line other delay, jitter or loss; a loss of 1 is a line that is cut and nobody is told."""
        process = place.line
        if not process or not process.stdin or not process.stdout:
            raise LabError(f"{place.site.name} has a plain link: give it a delay, if only of 0 ms")
        process.stdin.write(line.settings(delay) + "\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "changed":
            raise LabError(f"the line of {place.site.name} does not answer")

    def set_uplink(self, place: Place, *, up: bool) -> None:
        """Take a router's link to the internet down, or up again: its hosts are not told."""
        if not up:
            self._batch(place.router, [f"link set {rules.WAN} down"])
            return
        # The kernel took the routes, and the link-local address, with the link.
        self._batch(
            place.router,
            [f"link set {rules.WAN} up", f"addr replace fe80::2/64 dev {rules.WAN} nodad", *self._wan_routes(place)],
        )

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

    def release(self, host: Host, link: Link) -> None:
        """Undo `hold`."""
        if f"lookup {_table(link)}" in self.run(host.node, ["ip", "rule"]):
            self._batch(host.node, [f"rule del lookup {_table(link)}", f"route flush table {_table(link)}"])

    def leave(self, host: Host, link: Link) -> None:
        """Take one of a host's links away; if its default route led there, the one before it has it again."""
        self._unplug(host, link)
        self._go_out_by(host, host.link)
        self._batch(host.node, _host_routes(host.link))

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

    def renumber(self, place: Place) -> None:
        """Give a site another public address, and its router no memory of before: no host is told."""
        carrier = place.carrier
        outside = carrier.outside if carrier else place.outside
        if not outside:
            raise LabError(f"{place.site.name} has no translator")
        number = carrier.number if carrier else place.number
        first, second = (IPv4Address("203.0.113.0") + offset + number for offset in (9, 69))
        other = second if outside == first else first
        node, down = (carrier.node, carrier.down) if carrier else (place.router, place.uplink[1])
        self._batch(node, [f"addr del {outside}/32 dev {rules.WAN}", f"addr add {other}/32 dev {rules.WAN}"])
        self._batch("core", [f"route del {outside}/32 dev {down}", f"route add {other}/32 dev {down}"])
        # With its last IPv4 address a link loses its routes.
        if carrier:
            carrier.outside = other
            self._batch(node, default_routes(rules.WAN, _GATEWAY))
        else:
            place.outside = other
            self._batch(node, self._wan_routes(place))
        self.forget(place)

    def forget(self, place: Place) -> None:
        """Make a site's translators forget all mappings, as one that was switched off and on."""
        self._load_router(place)
        if place.carrier:
            self._load_carrier(place.carrier)
        for node in [place.router, *([place.carrier.node] if place.carrier else [])]:
            self.run(node, ["conntrack", "-F"])

    def cut(self, addresses: Iterable[str]) -> None:
        """Make packets from and to public addresses vanish in the core: `PUBLIC_ADDRESSES[TURN1].all`, or a site's."""
        self._dead("add", addresses)

    def mend(self, addresses: Iterable[str]) -> None:
        """Undo `cut`."""
        self._dead("delete", addresses)

    # How it is put up

    def _put_up_core(self) -> None:
        self._add_nodes(["core", *PUBLIC_ADDRESSES], forwarding={"core"})
        self._batch("core", [f"addr add {_GATEWAY}/32 dev lo"])
        self._nft("core", rules.core())
        for number, (node, addresses) in enumerate(PUBLIC_ADDRESSES.items()):
            self._wire("core", f"srv{number}", node, "eth0", routes=[ip_address(address) for address in addresses.all])
            self._batch(node, [f"addr add {address} dev eth0 nodad" for address in addresses.all])
            self._batch(node, default_routes("eth0", _GATEWAY, ipv6=True))
        both = {server: each.ipv4[:1] + each.ipv6[:1] for server, each in PUBLIC_ADDRESSES.items()}
        self._write_names("servers", both, list(PUBLIC_ADDRESSES))

    def _free_number(self) -> int:
        """Return the lowest number that no site and no carrier has: addresses come from it."""
        taken = {place.number for place in self.places.values()}
        taken |= {place.carrier.number for place in self.places.values() if place.carrier}
        return min(set(range(1, _MOST_SITES + 1)) - taken)

    def _put_up_site(self, place: Place) -> None:
        self._add_nodes([place.router, *(host.node for host in place.hosts)], forwarding={place.router})
        self._put_up_uplink(place)
        lines = ["link add lan type bridge", "link set lan up"]
        if place.lan:
            lines.append(f"addr add {place.lan[1]}/{place.lan.prefixlen} dev lan")
        if place.lan6:
            lines.append(f"addr add {place.lan6[1]}/64 dev lan nodad")
        if place.nat64_prefix:
            lines += [
                f"tuntap add dev {NAT64_DEVICE} mode tun",
                f"link set {NAT64_DEVICE} up",
                f"route add {NAT64_POOL} dev {NAT64_DEVICE}",
                f"route add {place.nat64_prefix} dev {NAT64_DEVICE}",
            ]
        self._batch(place.router, lines)
        self._load_router(place)
        for host in place.hosts:
            self._ports(host)
            self._plug_in(host, host.link)
        self._write_names(place.router, self._names_at(place), [place.router])
        # Where a proxy is the only way out, it is the proxy that resolves: the network inside knows no outer names.
        inside = {} if place.site.kind.firewall is Firewall.PROXY else self._names_at(place)
        self._write_names(place.site.name, inside, [host.node for host in place.hosts])

    def _carrier(self, site: Site, number: int) -> Carrier:
        if site.same_carrier_as:
            carrier = self.places[site.same_carrier_as].carrier
            if not carrier or carrier.nat != site.kind.carrier:
                raise LabError(f"{site.same_carrier_as} has no such carrier")
            return carrier
        if not site.kind.carrier:
            raise LabError(f"{site.kind.name} has no carrier")
        outside = IPv4Address("203.0.113.9") + number
        carrier = Carrier(node=f"{site.name}-carrier", number=number, nat=site.kind.carrier, outside=outside)
        self._add_nodes([carrier.node], forwarding={carrier.node})
        self._batch(carrier.node, [f"addr add {_CARRIER_GATEWAY}/32 dev lo"])
        self._wire("core", carrier.down, carrier.node, rules.WAN, routes=[outside])
        self._batch(carrier.node, [f"addr add {outside}/32 dev {rules.WAN}"])
        self._batch(carrier.node, default_routes(rules.WAN, _GATEWAY))
        self._load_carrier(carrier)
        return carrier

    def _put_up_uplink(self, place: Place) -> None:
        above, down = place.uplink
        kind = place.site.kind
        routes = [net for net in (place.lan if kind.ipv4 and not kind.nat else None, place.lan6, place.outside) if net]
        self._wire(above, down, place.router, rules.WAN, routes=routes, shaped=place.site.delay is not None)
        if place.outside:
            self._batch(place.router, [f"addr add {place.outside}/32 dev {rules.WAN}"])
        self._batch(place.router, self._wan_routes(place))
        if place.site.delay:
            program = line.command(place.site.delay, rules.WAN, self.namespace(above), down)
            place.line = self._start_line(place.router, program)

    def _wire(
        self,
        above: str,
        down: str,
        below: str,
        up: str,
        *,
        routes: Sequence[IPv4Address | IPv4Network | IPv6Address | IPv6Network],
        shaped: bool = False,
    ) -> None:
        """Join two nodes by a link without addresses of its own, and lead `routes` down it."""
        if shaped:
            self._batch(above, [f"tuntap add dev {down} mode tun"])
            self._batch(below, [f"tuntap add dev {up} mode tun"])
        else:
            self._batch(above, [f"link add {down} type veth peer name {up} netns {self.namespace(below)}"])
        # Both ends come up before routes go in.
        self._batch(below, [f"link set {up} up", f"addr replace fe80::2/64 dev {up} nodad"])
        self._batch(
            above,
            [f"link set {down} up", f"addr add {GATEWAY6}/64 dev {down} nodad"]
            + [route_down(target, down) for target in routes],
        )

    def _wan_routes(self, place: Place) -> list[str]:
        kind = place.site.kind
        return default_routes(
            rules.WAN,
            (_CARRIER_GATEWAY if place.carrier else _GATEWAY) if kind.ipv4 or kind.nat64 else None,
            ipv6=kind.ipv6,
        )

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

    def _start_line(self, node: str, program: Sequence[str]) -> subprocess.Popen[str]:
        process = self.popen(node, program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not process.stdout or process.stdout.readline().strip() != "ready":
            raise LabError(f"a line of {node} did not start")
        return process

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

        Before, the bridge may drop the first packet: each seventh time, and its sender tries again after a second.
        """
        router = ["ip", "netns", "exec", self.namespace(link.place.router)]
        state = f"/sys/class/net/{link.port}/brport/state"
        run(
            [*router, "sh", "-c", _WHEN_FORWARDING, self.namespace(host.node), link.interface, state],
            stdin="".join(f"{line}\n" for line in (*_host_addresses(link), *_host_routes(link))),
            timeout=5,
        )

    def _ports(self, host: Host) -> None:
        """Give hosts behind one translator different ports: then one that keeps ports never has to change one."""
        homes = host.place.carrier.places if host.place.carrier else [host.place]
        first = 20000 + (homes.index(host.place) * 4 + host.index) % 8 * 5000
        self.run(host.node, ["sysctl", "-qw", f"net.ipv4.ip_local_port_range={first} {first + 4999}"])

    def _load_router(self, place: Place) -> None:
        kind = place.site.kind
        nat = kind.nat or kind.nat64
        self._lifetime(place.router, nat)
        self._nft(
            place.router,
            rules.router(
                nat,
                kind.firewall,
                inside=NAT64_POOL if kind.nat64 else place.lan,
                outside=place.outside,
                stateful=bool(kind.nat or kind.ipv6),
            ),
        )

    def _load_carrier(self, carrier: Carrier) -> None:
        self._lifetime(carrier.node, carrier.nat)
        self._nft(
            carrier.node,
            rules.router(carrier.nat, Firewall.OPEN, inside=carrier.inside, outside=carrier.outside, stateful=True),
        )

    # The programs

    def _lifetime(self, node: str, nat: Nat | None) -> None:
        if nat:
            seconds = nat.lifetime
            names = ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream")
            self.run(node, ["sysctl", "-qw", *(f"net.netfilter.{name}={seconds}" for name in names)])

    def _dead(self, verb: str, addresses: Iterable[str]) -> None:
        parsed = [ip_address(address) for address in addresses]
        self._nft(
            "core",
            "\n".join(f"{verb} element inet {rules.TABLE} dead{one.version} {{ {one} }}" for one in parsed) + "\n",
        )

    def _tear_down(self) -> None:
        self._clear()
        self.places.clear()


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
