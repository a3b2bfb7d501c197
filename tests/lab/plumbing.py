"""What the lab's network is made of: namespaces, programs inside them, and the text that `ip` is fed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.lab import rules
from tests.lab.sites import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv6Address

PREFIX = "icelab"
GATEWAY6 = "fe80::1"

# Each program gets a table of names of its own, and where it runs a resolver (`names.py`) it asks that one. `ip netns
# exec` has already made it a mount namespace, so this is seen by that program alone.
_WITH_NAMES = 'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


class Boxes:
    """Namespaces of one lab, and what runs inside. A node is known by its name, without the lab's own prefix."""

    def __init__(self) -> None:
        self._prefix = f"{PREFIX}-{os.getpid()}-{secrets.token_hex(2)}"
        self._nodes: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []
        self._names: dict[str, Path] = {}  # by node: its table of names
        self.directory = Path()

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

    def run(self, node: str, argv: Sequence[str | Path], *, timeout: float = 120) -> str:
        """Run a program in a node's namespace to its end; return what it printed. A failure is an error."""
        return run(self.command(node, argv), timeout=timeout)

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

    def _add_nodes(self, nodes: Sequence[str], *, forwarding: set[str]) -> None:
        self._nodes += nodes
        ip(None, [f"netns add {self.namespace(node)}" for node in nodes])
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

    def _nft(self, node: str, text: str) -> None:
        run(self.command(node, ["nft", "-f", "-"]), stdin=text)

    def _batch(self, node: str, lines: Sequence[str]) -> None:
        ip(self.namespace(node), lines)

    def _remove_nodes(self, nodes: Sequence[str]) -> None:
        _remove([self.namespace(node) for node in nodes])
        self._nodes = [node for node in self._nodes if node not in nodes]

    def _clear(self) -> None:
        """End all programs, and remove all namespaces."""
        for process in list(self._processes):
            self.stop(process)
        self._remove_nodes(list(self._nodes))


def sweep() -> list[str]:
    """Remove what labs left behind whose process has died, keys and logs included; return the namespaces' names."""
    left = []
    for name in _namespaces():
        match = re.match(rf"{PREFIX}-(\d+)-", name)
        if match and not Path("/proc", match[1]).exists():
            left.append(name)
    _remove(left)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
        match = re.match(rf"{PREFIX}-(\d+)-", folder.name)
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
    name = f"{PREFIX}-{os.getpid()}-{secrets.token_hex(2)}-trial"
    try:
        ip(None, [f"netns add {name}"])
    except LabError as error:
        return [f"the right to make network namespaces (root): {error}"]
    try:
        run(["ip", "netns", "exec", name, "nft", "-f", "-"], stdin=rules.core())
    except LabError as error:
        return [f"nftables in a network namespace: {error}"]
    finally:
        _remove([name])
    return []


def ip(namespace: str | None, lines: Sequence[str]) -> None:
    run(["ip", *(["-n", namespace] if namespace else []), "-batch", "-"], stdin="\n".join(lines) + "\n")


def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 120) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise LabError(f"{shlex.join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{stdin}")
    return done.stdout


def route_down(target: IPv4Address | IPv4Network | IPv6Address | IPv6Network, device: str) -> str:
    """Lead a network to the router below. Its link-local address will do for IPv4, too (RFC 8950)."""
    match target:
        case IPv4Address():
            return f"route add {target} dev {device}"  # the router's own: it answers ARP for it
        case IPv4Network():
            return f"route add {target} via inet6 fe80::2 dev {device}"
        case _:
            return f"route add {target} via fe80::2 dev {device}"


def default_routes(device: str, gateway: str | IPv4Address | None, *, ipv6: bool = False) -> list[str]:
    """Lead all else out: the gateway's IPv4 address is on no network of the link, hence `onlink`."""
    routes = [f"route replace default via {gateway} dev {device} onlink"] if gateway else []
    return routes + ([f"route replace default via {GATEWAY6} dev {device}"] if ipv6 else [])


def _namespaces() -> list[str]:
    folder = Path("/run/netns")
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _remove(names: Sequence[str]) -> None:
    """End what runs in namespaces of a lab, then remove them."""
    if not names:
        return
    deadline = time.monotonic() + 30
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
        ip(None, [f"netns del {name}" for name in names if name in there])


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
