"""The lab, ready to use: the network, its servers, and what some kinds of site need besides rules.

with Lab(Internet(sites=(Site(name="a", kind=kinds.SYMMETRIC, delay=Delay(ms=25)),))) as lab:
    host = lab.network.places["a"].hosts[0]
    print(lab.network.run(host.node, ["ip", "addr"]))
    print(lab.measure_udp(host))
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from tests.lab import probe
from tests.lab.building import NAT64_DEVICE, NAT64_POOL
from tests.lab.coturn import Certificates, Coturn
from tests.lab.kinds import Firewall
from tests.lab.sites import PUBLIC_ADDRESSES, STUN, TURN1, TURN2, Host, Internet, LabError, Place, Site
from tests.lab.topology import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

PROXY_PORT = 3128
_PATIENCE = 60.0  # seconds


class Lab:
    """A network with its servers: a context manager."""

    def __init__(self, internet: Internet | None = None) -> None:
        self.network = Network()
        self._sites = internet.sites if internet else ()
        self._stack = contextlib.ExitStack()
        self._helpers: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        """Put it up, and wait until all servers serve."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.network)
            self.certificates = Certificates(self.network.directory)
            secret = secrets.token_urlsafe(16)
            servers = {
                node: Coturn(self.network, node, self.certificates, secret=secret) for node in (STUN, TURN1, TURN2)
            }
            for server in servers.values():
                server.start()
            for site in self._sites:
                self.attach(site)
            for server in servers.values():
                server.wait()
            self.stun, self.turn1, self.turn2 = servers[STUN], servers[TURN1], servers[TURN2]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Take it down."""
        self._stack.close()

    def attach(self, site: Site) -> Place:
        """Put up a site, with its HTTP proxy or its NAT64."""
        place = self.network.attach(site)
        if site.kind.firewall is Firewall.PROXY:
            self._helpers[site.name] = self._start_proxy(place)
        if site.kind.nat64:
            self._helpers[site.name] = self._start_nat64(place)
        return place

    def detach(self, place: Place) -> None:
        """Take a site down."""
        if helper := self._helpers.pop(place.site.name, None):
            self.network.stop(helper)
        self.network.detach(place)

    def proxy_for(self, place: Place) -> str | None:
        """Return the address of a site's HTTP proxy, if it has one."""
        return f"{place.gateway}:{PROXY_PORT}" if place.site.kind.firewall is Firewall.PROXY else None

    def measure_udp(self, host: Host, *, ipv6: bool = False) -> probe.Udp | None:
        """Name mapping, filtering and hairpinning as a host sees them; None: no UDP."""
        prefix = None if ipv6 else host.place.nat64_prefix
        server = PUBLIC_ADDRESSES[STUN].ipv6[0] if ipv6 else self.network.address_for(host.place, STUN)
        found = self._probe(host, "udp", server, *(["--nat64", str(prefix)] if prefix else []))
        return probe.Udp(**{**found, "rtt_ms": tuple(found["rtt_ms"])}) if found else None

    def outer_address(self, host: Host, *, ipv6: bool = False) -> str | None:
        """Return the address under which the internet sees a host's UDP now; None: it does not get through."""
        server = PUBLIC_ADDRESSES[STUN].ipv6[0] if ipv6 else self.network.address_for(host.place, STUN)
        address = self._probe(host, "address", server)
        return str(address) if address else None

    def measure_tcp(self, host: Host, server: str = TURN1) -> probe.Tcp:
        """Try the ways to a TURN server that are no UDP."""
        address = self.network.address_for(host.place, server)
        proxy = self.proxy_for(host.place)
        return probe.Tcp(**self._probe(host, "tcp", address, *(["--proxy", proxy] if proxy else [])))

    def mapping_survives(self, host: Host, seconds: float) -> bool:
        """Say whether a UDP mapping outlives so many seconds of silence."""
        server = self.network.address_for(host.place, STUN)
        return bool(self._probe(host, "lifetime", server, "--silence", str(seconds)))

    def punch(self, pairs: Sequence[tuple[Host, Host]]) -> list[bool]:
        """Say which pairs of hosts reach each other without a relay; all pairs at once."""
        hosts = {host.node: host for pair in pairs for host in pair}
        ends: dict[str, list[tuple[int, int]]] = {node: [] for node in hosts}  # of a host: pair and side, by socket
        for number, pair in enumerate(pairs):
            for side, host in enumerate(pair):
                ends[host.node].append((number, side))
        programs = {
            node: self.network.popen(
                node,
                _probing("punch", _stun_servers(host), "--peers", str(len(ends[node]))),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for node, host in hosts.items()
        }
        told: dict[tuple[int, int], Any] = {}
        for node, program in programs.items():
            told.update(zip(ends[node], _heard(program), strict=True))
        pair_secrets = [secrets.token_hex(8) for _ in pairs]
        for node, program in programs.items():
            _tell(
                program,
                [{"secret": pair_secrets[number], "addresses": told[number, 1 - side]} for number, side in ends[node]],
            )
        reached: dict[tuple[int, int], bool] = {}
        for node, program in programs.items():
            reached.update(zip(ends[node], _heard(program), strict=True))
            self.network.stop(program)
        return [reached[number, 0] and reached[number, 1] for number in range(len(pairs))]

    def _probe(self, host: Host, what: str, server: str, *more: str) -> Any:
        return json.loads(self.network.run(host.node, _probing(what, server, *more)))

    def _start_proxy(self, place: Place) -> subprocess.Popen[str]:
        """Start tinyproxy on the router: the way out that is left."""
        return self._start(
            place,
            "tinyproxy.conf",
            [
                f"Port {PROXY_PORT}",
                f"Listen {place.gateway}",
                f"Allow {place.lan}",
                "ConnectPort 443",
                "Timeout 600",
                "MaxClients 100",
            ],
            ["tinyproxy", "-d", "-c"],
            ready="Accepting connections",
        )

    def _start_nat64(self, place: Place) -> subprocess.Popen[str]:
        """Start tayga: it gives each IPv6 host an address of a pool, one to one; nftables translates the rest."""
        folder = self.network.directory / place.site.name
        return self._start(
            place,
            "tayga.conf",
            [
                f"tun-device {NAT64_DEVICE}",
                f"ipv4-addr {NAT64_POOL[1]}",
                f"ipv6-addr {place.lan6[255] if place.lan6 else ''}",
                f"prefix {place.nat64_prefix}",
                f"dynamic-pool {NAT64_POOL}",
                f"data-dir {folder}",
            ],
            ["stdbuf", "-oL", "tayga", "-d", "--config"],  # into a file it would keep its words to itself
            ready="Dynamic pool",
        )

    def _start(
        self, place: Place, name: str, configuration: Sequence[str], argv: Sequence[str], *, ready: str
    ) -> subprocess.Popen[str]:
        folder = self.network.directory / place.site.name
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / name
        file.write_text("\n".join(configuration) + "\n")
        log = folder / f"{name}.log"
        with log.open("w") as output:
            process = self.network.popen(place.router, [*argv, file], stdout=output)
        deadline = time.monotonic() + _PATIENCE
        while ready not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{argv[0]} of {place.site.name} did not start:\n{log.read_text()}")
            time.sleep(0.01)
        return process


def _probing(what: str, servers: str, *more: str) -> list[str]:
    return [sys.executable, "-I", probe.__file__, what, servers, *more]


def _stun_servers(host: Host) -> str:
    """Return the STUN server's address of each family that the host speaks: one socket each, as ICE has them."""
    kind = host.place.site.kind
    stun = PUBLIC_ADDRESSES[STUN]
    return ",".join(stun.ipv4[:1] * kind.ipv4 + stun.ipv6[:1] * kind.ipv6)


def _heard(program: subprocess.Popen[str]) -> Any:
    text = program.stdout.readline() if program.stdout else ""
    if not text:
        raise LabError("a probe ended without a word")
    return json.loads(text)


def _tell(program: subprocess.Popen[str], value: Any) -> None:
    if program.stdin:
        program.stdin.write(json.dumps(value) + "\n")
        program.stdin.flush()
