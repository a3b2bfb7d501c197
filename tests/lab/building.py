"""How the core, the sites and their carriers are put up, and what their routers and resolvers know."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import TYPE_CHECKING

from tests.lab import delay as line
from tests.lab import rules
from tests.lab.hosts import Hosts
from tests.lab.kinds import Firewall
from tests.lab.plumbing import GATEWAY6, default_routes, route_down
from tests.lab.sites import NAMES, PUBLIC_ADDRESSES, TURN1, Carrier, LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv6Address, IPv6Network

    from tests.lab.kinds import Nat
    from tests.lab.sites import Host, Place, Site

GATEWAY = "192.0.2.1"
_CARRIER_GATEWAY = "100.64.0.1"
_MOST_SITES = 38  # as many LANs of public addresses are there
NAT64_DEVICE = "nat64"  # where tayga sits
NAT64_POOL = IPv4Network("10.64.0.0/16")  # behind the NAT64: never seen outside, translated once more


class Building(Hosts):
    """Puts up whatever is between the hosts."""

    def address_for(self, place: Place, server: str) -> str:
        """Return the address under which a site's hosts reach a server: behind NAT64 one of its prefix (RFC 6052)."""
        ipv4 = PUBLIC_ADDRESSES[server].ipv4[0]
        if place.nat64_prefix:
            return str(place.nat64_prefix[int(IPv4Address(ipv4))])
        return ipv4 if place.site.kind.ipv4 else PUBLIC_ADDRESSES[server].ipv6[0]

    def _put_up_core(self) -> None:
        self._add_nodes(["core", *PUBLIC_ADDRESSES], forwarding={"core"})
        self._batch("core", [f"addr add {GATEWAY}/32 dev lo"])
        self._nft("core", rules.core())
        for number, (node, addresses) in enumerate(PUBLIC_ADDRESSES.items()):
            self._wire("core", f"srv{number}", node, "eth0", routes=[ip_address(address) for address in addresses.all])
            self._batch(node, [f"addr add {address} dev eth0 nodad" for address in addresses.all])
            self._batch(node, default_routes("eth0", GATEWAY, ipv6=True))
        both = {server: each.ipv4[:1] + each.ipv6[:1] for server, each in PUBLIC_ADDRESSES.items()}
        self._write_names("servers", both, list(PUBLIC_ADDRESSES))

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
        self._batch(carrier.node, default_routes(rules.WAN, GATEWAY))
        self._load_carrier(carrier)
        return carrier

    def _free_number(self) -> int:
        """Return the lowest number that no site and no carrier has: addresses come from it."""
        taken = {place.number for place in self.places.values()}
        taken |= {place.carrier.number for place in self.places.values() if place.carrier}
        return min(set(range(1, _MOST_SITES + 1)) - taken)

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
            (_CARRIER_GATEWAY if place.carrier else GATEWAY) if kind.ipv4 or kind.nat64 else None,
            ipv6=kind.ipv6,
        )

    def _ports(self, host: Host) -> None:
        """Give hosts behind one translator different ports: then one that keeps ports never has to change one."""
        homes = host.place.carrier.places if host.place.carrier else [host.place]
        first = 20000 + (homes.index(host.place) * 4 + host.index) % 8 * 5000
        self.run(host.node, ["sysctl", "-qw", f"net.ipv4.ip_local_port_range={first} {first + 4999}"])

    # What routers and resolvers know

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

    def _lifetime(self, node: str, nat: Nat | None) -> None:
        if nat:
            seconds = nat.lifetime
            names = ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream")
            self.run(node, ["sysctl", "-qw", *(f"net.netfilter.{name}={seconds}" for name in names)])

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
