"""Real coturn servers, two for TURN and one for STUN with two addresses (RFC 5780), and what their logs say."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
import secrets
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from tests.lab.sites import NAMES, PUBLIC_ADDRESSES, STUN, LabError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.lab.topology import Network

READY = "SQLite DB connection success"  # the last thing it says: listeners and threads are up
_PATIENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocations:
    """What a server's log tells of relays: made, and those that have ended; by whom."""

    made: int
    ended: int
    users: tuple[str, ...]

    @property
    def held(self) -> int:
        """How many there are now."""
        return self.made - self.ended


class Coturn:
    """One coturn in its namespace. `node` is the name of a server in `topology.py`."""

    def __init__(self, network: Network, node: str, certificates: Certificates, *, secret: str) -> None:
        self.node = node
        self.secret = secret
        self._network = network
        self._folder = network.directory / node
        self._folder.mkdir(mode=0o700)
        self._log = self._folder / "log"
        self._configuration = self._folder / "turnserver.conf"
        self._configuration.touch(0o600)
        self._configuration.write_text(_configuration(node, self._folder, certificates, secret))
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, with a new log, and do not wait: several start side by side."""
        with self._log.open("w") as log:
            self._process = self._network.popen(self.node, ["turnserver", "-c", self._configuration], stdout=log)

    def wait(self) -> None:
        """Wait for its own word that it serves."""
        deadline = time.monotonic() + _PATIENCE
        while READY not in self._log.read_text():
            if not self._process or self._process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"coturn on {self.node} did not start:\n{self._log.read_text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once: its clients are told nothing, the next packet to it is answered by ICMP."""
        if self._process:
            self._network.stop(self._process, how=signal.SIGKILL)
            self._process = None

    def credentials(self, user: str, *, expires: int) -> tuple[str, str]:
        """Return a user name and a password that are good until `expires` (the TURN REST API's convention)."""
        name = f"{expires}:{user}"
        digest = hmac.digest(self.secret.encode(), name.encode(), hashlib.sha1)
        return name, base64.b64encode(digest).decode()

    def allocations(self, user: str = "") -> Allocations:
        """Count relays since the last start, of all users or of those whose name contains `user`."""
        return count_allocations(self._log.read_text(), user)


@contextlib.contextmanager
def further_coturn(
    network: Network, node: str, address: str, *, secret: str, options: Sequence[str] = ()
) -> Iterator[None]:
    """Run a TURN server for IPv4 on another node, or beside a node's own, with further `options` (turnserver(1))."""
    folder = network.directory / f"coturn-{secrets.token_hex(3)}"
    folder.mkdir(mode=0o700)
    own = ["-n", "--no-cli", "--fingerprint", "--log-file=stdout", "--simple-log", "--verbose", "--no-dtls"]
    own += [f"--pidfile={folder}/pid", f"--userdb={folder}/db", "--realm=lab", "--use-auth-secret"]
    own += [f"--static-auth-secret={secret}", f"--listening-ip={address}", f"--relay-ip={address}", "--no-rfc5780"]
    log = folder / "log"
    with log.open("w") as output:
        process = network.popen(node, ["turnserver", *own, *options], stdout=output)
    try:
        deadline = time.monotonic() + _PATIENCE
        while READY not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"coturn on {node} did not start:\n{log.read_text()}")
            time.sleep(0.01)
        yield
    finally:
        network.stop(process)


class Certificates:
    """Throw-away certificates for the servers' addresses and names."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        names = [address for addresses in PUBLIC_ADDRESSES.values() for address in addresses.all] + list(NAMES.values())
        leaf = authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        self.authority = folder / "authority.pem"
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        leaf.cert_chain_pems[0].write_to_path(str(self.certificate))
        self.key.touch(0o600)
        leaf.private_key_pem.write_to_path(str(self.key))


def count_allocations(log: str, user: str = "") -> Allocations:
    """Read coturn 4.6's verbose log.

    A relay begins with `session N: new, realm=<R>, username=<U>, lifetime=S`. It ends when its client gives it up, by a
    refresh to a lifetime of 0 (RFC 8656, 7.1), or with the client's connection.
    """
    made = {
        session: name
        for session, name in re.findall(r"session (\d+): new, realm=<[^>]*>, username=<([^>]*)>", log)
        if user in name
    }
    ended = set(re.findall(r"session (\d+): (?:refreshed, .*lifetime=0$|closed|delete)", log, re.MULTILINE))
    return Allocations(made=len(made), ended=len(made.keys() & ended), users=tuple(sorted(set(made.values()))))


def _configuration(node: str, folder: Path, certificates: Certificates, secret: str) -> str:
    addresses = PUBLIC_ADDRESSES[node].all
    lines = [
        "no-cli",
        "fingerprint",
        "log-file=stdout",
        "simple-log",
        "verbose",
        f"pidfile={folder}/pid",
        f"userdb={folder}/db",
        "realm=lab",
        "listening-port=3478",
        *(f"listening-ip={address}" for address in addresses),
    ]
    if node == STUN:
        lines += ["stun-only", "no-auth", "no-tls", "no-dtls", "no-tcp"]
    else:
        lines += [
            "use-auth-secret",
            f"static-auth-secret={secret}",
            *(f"relay-ip={address}" for address in addresses),
            "no-rfc5780",
            "no-dtls",
            "tls-listening-port=443",  # coturn takes plain TURN over TCP there as well, and tells them apart
            f"cert={certificates.certificate}",
            f"pkey={certificates.key}",
        ]
    return "\n".join(lines) + "\n"
