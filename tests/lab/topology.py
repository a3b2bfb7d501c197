"""An internet in network namespaces, from small values.

The only file of the lab that changes anything by `ip`, `nft`, `conntrack` and `sysctl`. The tests ask the same programs
what came of it: a check that went through this file would believe it.

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
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from tests.lab import delay as line
from tests.lab import names, rules
from tests.lab.kinds import Firewall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.lab.kinds import Kind, Nat

_PREFIX = "icelab"
_GATEWAY = "192.0.2.1"
_GATEWAY6 = "fe80::1"
_CARRIER_GATEWAY = "100.64.0.1"
_MOST_SITES = 38  # as many LANs of public addresses are there
NAT64_DEVICE = "nat64"  # where tayga sits
NAT64_POOL = IPv4Network("10.64.0.0/16")  # behind the NAT64: never seen outside, translated once more

SERVER = "server"
STUN = "stun"
TURN1 = "turn1"
TURN2 = "turn2"


class Addresses(NamedTuple):
    """A server's addresses."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both families."""
        return self.ipv4 + self.ipv6


PUBLIC_ADDRESSES: Mapping[str, Addresses] = {
    SERVER: Addresses(("192.0.2.10",), ("2001:db8:ffff::10",)),
    STUN: Addresses(("192.0.2.20", "192.0.2.21"), ("2001:db8:ffff::20", "2001:db8:ffff::21")),
    TURN1: Addresses(("198.51.100.10",), ("2001:db8:ffff:1::10",)),
    TURN2: Addresses(("203.0.113.250",), ("2001:db8:ffff:2::10",)),
}
NAMES: Mapping[str, str] = {node: f"{node}.lab" for node in PUBLIC_ADDRESSES}
"""What programs inside call the servers: one name for both families, as an operator's configuration has it."""

# Each program gets a table of names of its own, and where it runs a resolver (`names.py`) it asks that one. `ip netns
# exec` has already made it a mount namespace, so this is seen by that program alone.
_WITH_NAMES = 'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'

# In one process, lest a browser sees the link long before the addresses. 3 is BR_STATE_FORWARDING (linux/if_bridge.h).
_WHEN_FORWARDING = (
    'ip -n "$0" link set "$1" up && '
    'until read -r state <"$2" && [ "$state" = 3 ]; do :; done && '
    'exec ip -n "$0" -batch -'
)


class LabError(Exception):
    """The lab cannot do what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A network at the edge: what kind it is, how many hosts it has, and how far away it is."""

    name: str
    kind: Kind
    hosts: int = 1
    lan: IPv4Network | None = None  # None: one of its own
    delay: line.Delay | None = None  # None: a plain link, none of it can be changed at run time
    same_carrier_as: str | None = None  # the name of a site that came before

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if not re.fullmatch(r"[a-z0-9-]{1,24}", self.name):
            raise ValueError(f"a site's name is short and plain: {self.name!r}")
        if self.name in PUBLIC_ADDRESSES or self.name == "core":
            raise ValueError(f"{self.name} is the name of a server")
        if not 1 <= self.hosts <= 4:
            raise ValueError("a site has one to four hosts")
        if self.same_carrier_as and not self.kind.carrier:
            raise ValueError(f"{self.kind.name} has no carrier to share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Internet:
    """Sites around one core."""

    sites: tuple[Site, ...] = ()


@dataclass(kw_only=True)
class Host:
    """A host as it stands: its addresses change when it is given new ones, or moved."""

    node: str
    place: Place
    index: int
    interface: str = "eth0"
    port: str = ""  # of the LAN's bridge, in the router
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None


@dataclass(kw_only=True)
class Place:
    """A site as it stands."""

    site: Site
    number: int
    lan: IPv4Network | None
    lan6: IPv6Network | None
    outside: IPv4Address | None  # the router's own
    carrier: Carrier | None
    hosts: list[Host] = field(default_factory=list)
    line: subprocess.Popen[str] | None = None

    @property
    def router(self) -> str:
        """The node of its router."""
        return f"{self.site.name}-router"

    @property
    def uplink(self) -> tuple[str, str]:
        """The node above its router, and the interface there."""
        return (self.carrier.node if self.carrier else "core"), f"down{self.number}"

    @property
    def gateway(self) -> IPv4Address | None:
        """The router's address on its LAN; the HTTP proxy of a site that has one listens there."""
        return self.lan[1] if self.lan else None

    @property
    def public(self) -> IPv4Address | None:
        """The address under which the internet knows the site."""
        return self.carrier.outside if self.carrier else self.outside

    @property
    def nat64_prefix(self) -> IPv6Network | None:
        """Where IPv4 addresses are found in IPv6 (RFC 6052, 2.2: a /96 of one's own)."""
        return (
            IPv6Network((int(IPv6Address("2001:db8:64::")) + (self.number << 64), 96)) if self.site.kind.nat64 else None
        )


@dataclass(kw_only=True)
class Carrier:
    """A carrier's translator as it stands, with the sites behind it."""

    node: str
    number: int
    nat: Nat
    outside: IPv4Address
    places: list[Place] = field(default_factory=list)

    @property
    def down(self) -> str:
        """The core's interface towards it."""
        return f"cgn{self.number}"

    @property
    def inside(self) -> IPv4Network:
        """Shared address space (RFC 6598)."""
        return IPv4Network((int(IPv4Address("100.64.0.0")) + (self.number << 8), 24))


class Network:
    """The lab's network while it stands: a context manager that leaves nothing behind."""

    def __init__(self, internet: Internet | None = None) -> None:
        self._sites = internet.sites if internet else ()
        self._prefix = f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(2)}"
        self._nodes: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []
        self._names: dict[str, Path] = {}  # by node: its table of names
        self._stack = contextlib.ExitStack()
        self.places: dict[str, Place] = {}
        self.directory = Path()

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
        self._stack.close()

    # Programs inside

    def command(self, node: str, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs a program in a node's namespace: it becomes the program, its pid stays."""
        table = self._names.get(node)
        inside = ["sh", "-c", _WITH_NAMES, str(table), str(self.directory / "resolv.conf")] if table else []
        return ["ip", "netns", "exec", self.namespace(node), *inside, *map(str, argv)]

    def popen(
        self,
        node: str,
        argv: Sequence[str | Path],
        *,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[str] | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Start a program in a node's namespace; it ends with the lab at the latest."""
        # In a group of its own: Ctrl-C goes to all of the terminal's, and what runs here is ended by the lab, in order.
        process = subprocess.Popen(
            self.command(node, argv), stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT, text=True, process_group=0
        )
        self._processes.append(process)
        return process

    def run(self, node: str, argv: Sequence[str | Path], *, timeout: float = 30) -> str:
        """Run a program in a node's namespace to its end; return what it printed. A failure is an error."""
        return _run(self.command(node, argv), timeout=timeout)

    def stop(self, process: subprocess.Popen[str], *, how: signal.Signals = signal.SIGTERM) -> None:
        """End a program that `popen` started."""
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._processes.remove(process)

    def namespace(self, node: str) -> str:
        """Return the name of a node's namespace, as `ip netns` knows it."""
        return f"{self._prefix}-{node}"

    # Sites

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
            lan=(site.lan or _own_lan(kind, number)) if kind.ipv4 else None,
            lan6=IPv6Network(f"2001:db8:{number:x}::/64") if kind.ipv6 else None,
            outside=outside,
            carrier=carrier,
        )
        self.places[site.name] = place
        if carrier:
            carrier.places.append(place)
        place.hosts += [Host(node=f"{site.name}-{index}", place=place, index=index) for index in range(site.hosts)]
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
            self._batch(host.node, [f"link set {host.interface} down"])
            return
        self._come_up(host)

    def readdress(self, host: Host) -> None:
        """Give a host another address on its LAN, as a DHCP server does that lost its memory; its link comes up."""
        host.ipv4, host.ipv6 = _free_addresses(host.place)
        self._batch(host.node, [f"addr flush dev {host.interface} scope global"])
        self._come_up(host)

    def move(self, host: Host, to: Place) -> None:
        """Move a host to another site's LAN by another interface, as from Wi-Fi to LTE: the old one goes away."""
        old = host.interface
        host.interface = f"eth{int(old.removeprefix('eth')) + 1}"
        host.place.hosts.remove(host)
        host.place = to
        host.ipv4 = host.ipv6 = None
        to.hosts.append(host)
        self._batch(host.node, [f"link del {old}"])
        self._plug_in(host)

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
            self._batch(node, _default_routes(rules.WAN, _GATEWAY))
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
            self._batch(node, _default_routes("eth0", _GATEWAY, ipv6=True))
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
            self._plug_in(host)
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
        self._batch(carrier.node, _default_routes(rules.WAN, _GATEWAY))
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
            place.line = self.popen(
                place.router,
                line.command(place.site.delay, rules.WAN, self.namespace(above), down),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            if not place.line.stdout or place.line.stdout.readline().strip() != "ready":
                raise LabError(f"the line of {place.site.name} did not start")

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
            [f"link set {down} up", f"addr add {_GATEWAY6}/64 dev {down} nodad"]
            + [_route_down(target, down) for target in routes],
        )

    def _wan_routes(self, place: Place) -> list[str]:
        kind = place.site.kind
        return _default_routes(
            rules.WAN,
            (_CARRIER_GATEWAY if place.carrier else _GATEWAY) if kind.ipv4 or kind.nat64 else None,
            ipv6=kind.ipv6,
        )

    def _plug_in(self, host: Host) -> None:
        """Connect a host to its place's LAN."""
        place = host.place
        port = host.port = f"lan{secrets.token_hex(3)}"
        self._batch(
            place.router,
            [
                f"link add {port} type veth peer name {host.interface} netns {self.namespace(host.node)}",
                f"link set {port} master lan up",
            ],
        )
        host.ipv4, host.ipv6 = _free_addresses(place)
        self._come_up(host)

    def _come_up(self, host: Host) -> None:
        """Bring a host's link up, and give it its addresses when the link passes packets, as a DHCP server would.

        Before, the bridge may drop the first packet: each seventh time, and its sender tries again after a second.
        """
        router = ["ip", "netns", "exec", self.namespace(host.place.router)]
        state = f"/sys/class/net/{host.port}/brport/state"
        _run(
            [*router, "sh", "-c", _WHEN_FORWARDING, self.namespace(host.node), host.interface, state],
            stdin="".join(f"{line}\n" for line in (*_host_addresses(host), *_host_routes(host))),
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

    def _add_nodes(self, nodes: Sequence[str], *, forwarding: set[str]) -> None:
        self._nodes += nodes
        _ip(None, [f"netns add {self.namespace(node)}" for node in nodes])
        for node in nodes:
            values = [
                # Duplicate address detection would keep each address unusable for a second (RFC 4862, 5.4).
                "net.ipv6.conf.all.accept_dad=0",
                "net.ipv6.conf.default.accept_dad=0",
                # This kernel's bridges would send the traffic inside a LAN through the router's firewall.
                "net.bridge.bridge-nf-call-iptables=0",
                "net.bridge.bridge-nf-call-ip6tables=0",
            ]
            if node in forwarding:
                values += ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
            self.run(node, ["sysctl", "-qw", *values])
            self._batch(node, ["link set lo up"])

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

    def _nft(self, node: str, text: str) -> None:
        _run(self.command(node, ["nft", "-f", "-"]), stdin=text)

    def _batch(self, node: str, lines: Sequence[str]) -> None:
        _ip(self.namespace(node), lines)

    def _remove_nodes(self, nodes: Sequence[str]) -> None:
        _remove([self.namespace(node) for node in nodes])
        self._nodes = [node for node in self._nodes if node not in nodes]

    def _tear_down(self) -> None:
        for process in list(self._processes):
            self.stop(process)
        self._remove_nodes(list(self._nodes))
        self.places.clear()


def sweep() -> list[str]:
    """Remove what labs left behind whose process has died, keys and logs included; return the namespaces' names."""
    left = []
    for name in _namespaces():
        match = re.match(rf"{_PREFIX}-(\d+)-", name)
        if match and not Path("/proc", match[1]).exists():
            left.append(name)
    _remove(left)
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}-*"):
        match = re.match(rf"{_PREFIX}-(\d+)-", folder.name)
        if match and not Path("/proc", match[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)
    return left


def missing() -> list[str]:
    """Say what this machine lacks to put up a lab and to play in it: nothing, if the list is empty."""
    lacks = [
        f"the program {program} (Debian: {package})"
        for program, package in (
            ("ip", "iproute2"),
            ("nft", "nftables"),
            ("conntrack", "conntrack"),
            ("sysctl", "procps"),
            ("turnserver", "coturn"),
            ("tinyproxy", "tinyproxy-bin"),
            ("tayga", "tayga"),
            ("chromium", "chromium"),
        )
        if not shutil.which(program)
    ]
    if not Path("/dev/net/tun").exists():
        lacks.append("/dev/net/tun (kernel: CONFIG_TUN)")
    if lacks:
        return lacks
    name = f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(2)}-trial"
    try:
        _ip(None, [f"netns add {name}"])
    except LabError as error:
        return [f"the right to make network namespaces (root): {error}"]
    try:
        _run(["ip", "netns", "exec", name, "nft", "-f", "-"], stdin=rules.core())
    except LabError as error:
        return [f"nftables in a network namespace: {error}"]
    finally:
        _remove([name])
    return []


def _ip(namespace: str | None, lines: Sequence[str]) -> None:
    _run(["ip", *(["-n", namespace] if namespace else []), "-batch", "-"], stdin="\n".join(lines) + "\n")


def _run(argv: Sequence[str], *, stdin: str = "", timeout: float = 30) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise LabError(f"{shlex.join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{stdin}")
    return done.stdout


def _route_down(target: IPv4Address | IPv4Network | IPv6Address | IPv6Network, device: str) -> str:
    """Lead a network to the router below. Its link-local address will do for IPv4, too (RFC 8950)."""
    match target:
        case IPv4Address():
            return f"route add {target} dev {device}"  # the router's own: it answers ARP for it
        case IPv4Network():
            return f"route add {target} via inet6 fe80::2 dev {device}"
        case _:
            return f"route add {target} via fe80::2 dev {device}"


def _default_routes(device: str, gateway: str | IPv4Address | None, *, ipv6: bool = False) -> list[str]:
    """Lead all else out: the gateway's IPv4 address is on no network of the link, hence `onlink`."""
    routes = [f"route replace default via {gateway} dev {device} onlink"] if gateway else []
    return routes + ([f"route replace default via {_GATEWAY6} dev {device}"] if ipv6 else [])


def _host_addresses(host: Host) -> list[str]:
    addresses = []
    if host.ipv4 and host.place.lan:
        addresses.append(f"addr replace {host.ipv4}/{host.place.lan.prefixlen} dev {host.interface}")
    if host.ipv6:
        addresses.append(f"addr replace {host.ipv6}/64 dev {host.interface} nodad")
    return addresses


def _host_routes(host: Host) -> list[str]:
    place = host.place
    routes = [f"route replace default via {place.gateway} dev {host.interface}"] if place.gateway else []
    if place.lan6:
        routes.append(f"route replace default via {place.lan6[1]} dev {host.interface}")
    return routes


def _free_addresses(place: Place) -> tuple[IPv4Address | None, IPv6Address | None]:
    """Return the first addresses that no host of the LAN has, or had last: from .10 where the LAN is large enough."""
    ipv4 = ipv6 = None
    if place.lan:
        first = 10 if place.lan.num_addresses > 16 else 2
        taken = {host.ipv4 for host in place.hosts}
        ipv4 = next(place.lan[i] for i in range(first, place.lan.num_addresses - 1) if place.lan[i] not in taken)
    if place.lan6:
        taken6 = {host.ipv6 for host in place.hosts}
        ipv6 = next(place.lan6[i] for i in range(16, 64) if place.lan6[i] not in taken6)
    return ipv4, ipv6


def _own_lan(kind: Kind, number: int) -> IPv4Network:
    if kind.nat:
        return IPv4Network(f"192.168.{number}.0/24")
    if number < 24:
        return IPv4Network(f"198.51.100.{64 + 8 * number}/29")
    return IPv4Network(f"203.0.113.{128 + 8 * (number - 24)}/29")


def _namespaces() -> list[str]:
    folder = Path("/run/netns")
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _remove(names: Sequence[str]) -> None:
    """End what runs in namespaces of a lab, then remove them."""
    if not names:
        return
    deadline = time.monotonic() + 10
    while pids := _inside(names):
        if time.monotonic() > deadline:
            raise LabError(f"processes {pids} do not end")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    # Another lab may be sweeping the same dead one: what is gone is gone.
    there = set(_namespaces())
    with contextlib.suppress(LabError) if not there.issuperset(names) else contextlib.nullcontext():
        _ip(None, [f"netns del {name}" for name in names if name in there])


def _inside(names: Sequence[str]) -> list[int]:
    """Return the processes in namespaces, as `ip netns pids` does, for all of them in one look."""
    identities = set()
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            status = Path("/run/netns", name).stat()
            identities.add((status.st_dev, status.st_ino))
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                status = (entry / "ns/net").stat()
                if (status.st_dev, status.st_ino) in identities and (entry / "exe").exists():
                    pids.append(int(entry.name))
    return pids
