"""An internet in network namespaces, from small values.

This file is what may be done with it. `building.py` puts it up, `hosts.py` connects the hosts, and all stand on
`plumbing.py`: only these four change anything by `ip`, `nft`, `conntrack` and `sysctl`. The tests ask the same programs
what came of it: a check that went through these files would believe them.

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
import subprocess
import sys
import tempfile
from ipaddress import IPv4Address, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab import delay as line
from tests.lab import names, rules
from tests.lab.building import GATEWAY, Building
from tests.lab.plumbing import default_routes, sweep
from tests.lab.sites import Host, LabError, Link, Place, own_lan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.lab.sites import Internet, Site


class Network(Building):
    """The lab's network while it stands: a context manager that leaves nothing behind."""

    def __init__(self, internet: Internet | None = None) -> None:
        super().__init__()
        self._sites = internet.sites if internet else ()
        self._stack = contextlib.ExitStack()

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

    def start_resolver(self, host: Host) -> subprocess.Popen[str]:
        """Start a host's resolver; it is there when this returns."""
        program: list[str | Path] = [sys.executable, "-I", names.__file__, self._names[host.node]]
        process = self.popen(host.node, program, stdout=subprocess.PIPE)
        if not process.stdout or process.stdout.readline().strip() != "ready":
            raise LabError(f"the resolver of {host.node} did not start")
        return process

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
            self._batch(node, default_routes(rules.WAN, GATEWAY))
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

    def _dead(self, verb: str, addresses: Iterable[str]) -> None:
        parsed = [ip_address(address) for address in addresses]
        self._nft(
            "core",
            "\n".join(f"{verb} element inet {rules.TABLE} dead{one.version} {{ {one} }}" for one in parsed) + "\n",
        )

    def _tear_down(self) -> None:
        self._clear()
        self.places.clear()
