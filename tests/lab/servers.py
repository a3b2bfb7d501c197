"""The servers that browsers in the lab load pages from: the real console, and the yardstick beside it.

Both listen on 443 of a node of their own, with TLS and under both families: so every kind of site reaches them. Both
hand out the same ICE servers, chosen by the console's own policy.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import ssl
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.ice.choosing import variety_first
from backend.ice.ice_servers import read_ice_servers
from backend.journal.reading import entries_of
from pyapp.protocol.ice import parse_ice_url
from tests.lab.expect import Leg
from tests.lab.sites import NAMES, SERVER, STUN, TURN1, TURN2, LabError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from tests.lab.lab import Lab

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0  # seconds until a server has said that it is ready

TRANSPORTS = (
    "turn:{}:3478?transport=udp",
    "turns:{}:443?transport=tcp",
    "turn:{}:443?transport=tcp",
    "turn:{}:3478?transport=tcp",
)
"""The ways to a TURN server of the lab: those of an operator who wants all networks in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that is up. `journal` is where it writes what its pages tell it, if it does."""

    subject: str
    address: str
    offered: frozenset[Leg]  # the transports by which its pages are told of TURN servers
    journal: Path | None = None

    def entries(self, session: str) -> list[dict[str, Any]]:
        """Return the journal of a session, oldest first."""
        return entries_of(self.journal, session) if self.journal else []


@contextlib.contextmanager
def configuration(
    lab: Lab, *, turn: Sequence[str] = (TURN1, TURN2), ways: Sequence[str] = TRANSPORTS, standby: bool = False
) -> Iterator[Path]:
    """Write an ICE configuration as an operator would: STUN, and TURN servers by these ways, with their secret."""
    # The relays that are counted there are the pages' alone, and their order is this one.
    lines = ["checks = false", *(["standby = true"] if standby else [])]
    lines += ["[[server]]", f'urls = ["stun:{NAMES[STUN]}:3478"]']
    for node in turn:
        urls = [way.format(NAMES[node]) for way in ways]
        lines += ["", "[[server]]", f'name = "{node}"', f"urls = {json.dumps(urls)}", f'secret = "{lab.turn1.secret}"']
    path = lab.network.directory / f"ice-{'-'.join(turn)}-{len(ways)}{'-standby' if standby else ''}.toml"
    path.touch(0o600)
    path.write_text("\n".join(lines) + "\n")
    yield path
    path.unlink()


@contextlib.contextmanager
def console(lab: Lab, config: Path, *, port: int = 443) -> Iterator[Served]:
    """Run the real `server.py`, which trusts the lab's certificates.

    On another port than 443 it is out of reach for the strictest kinds.
    """
    journal = lab.network.directory / "journal"
    arguments = ["--open", "--keep-addresses", "--turn", "off", "--config", str(config), "--journal", str(journal)]
    program = ["env", f"SSL_CERT_FILE={lab.certificates.authority}", sys.executable, str(ROOT / "server.py")]
    with _running(lab, SERVER, [*program, *arguments, *_tls(lab, SERVER, port)]):
        address = f"https://{NAMES[SERVER]}:{port}/"
        yield Served(subject="console", address=address, offered=_offered(config), journal=journal)


@contextlib.contextmanager
def yardstick(lab: Lab, config: Path) -> Iterator[Served]:
    """Run the server of the hand-written page. It lives with STUN, which leaves TCP 443 free."""
    program = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.lab.yardstick", "--config", str(config)]
    with _running(lab, STUN, [*program, *_tls(lab, STUN, 443)]):
        yield Served(subject="yardstick", address=f"https://{NAMES[STUN]}/", offered=_offered(config))


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what `server.py` makes of the same files."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _offered(config: Path) -> frozenset[Leg]:
    """Return the transports by which the console's policy lets TURN servers be reached: it cuts long lists."""
    urls = [url for server in variety_first(read_ice_servers(config).servers) if server.is_turn for url in server.urls]
    return frozenset(Leg[parse_ice_url(url).transport.upper()] for url in urls)


def _tls(lab: Lab, node: str, port: int) -> list[str]:
    files = lab.certificates
    # The name stands for both families in the node's own table: the server listens on each.
    listen = ["--host", NAMES[node], "--port", str(port)]
    return [*listen, "--tls-cert", str(files.certificate), "--tls-key", str(files.key)]


@contextlib.contextmanager
def _running(lab: Lab, node: str, argv: Sequence[str]) -> Iterator[None]:
    """Run a server until the end of the block; what it prints is kept for the moment it fails."""
    log = lab.network.directory / f"{node}-web-{secrets.token_hex(3)}.log"
    with log.open("w") as output:
        process = lab.network.popen(node, ["env", "PYTHONUNBUFFERED=1", *argv], stdout=output)
    try:
        _wait(process, log)
        yield
        text = log.read_text()
        if process.poll() is not None or "Traceback" in text:
            raise LabError(f"the server on {node} is in trouble:\n{text}")
    finally:
        lab.network.stop(process)


def _wait(process: subprocess.Popen[str], log: Path) -> None:
    """Wait for the address that a server prints once it serves."""
    pause = threading.Event()
    for _ in range(int(_PATIENCE / 0.02)):
        if "https://" in log.read_text():
            return
        if process.poll() is not None:
            break
        pause.wait(0.02)
    raise LabError(f"the server did not become ready:\n{log.read_text()}")
