"""The path in use: what it is, and what is measured of it."""

from dataclasses import dataclass
from typing import Literal

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.path.connection import Connection
from pyapp.core.session import Session


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the path panel: `Round trip`, `24 ms`. `id` is stable, for tests and automation."""

    id: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Path:
    """The fields but for `facts` belong to the page-state contract of the README."""

    kind: Literal["none", "direct", "relay"] = "none"
    local_candidate: str = ""
    remote_candidate: str = ""
    protocol: str = ""
    relay_protocol: str = ""
    ice_generation: int = 0
    facts: tuple[Fact, ...] = ()


_CANDIDATE_WORDS = {
    "host": "own network (host)",
    "srflx": "through NAT (srflx)",
    "prflx": "found on the way (prflx)",
    "relay": "relay",
}

_TLS_VERSIONS = {"FEFD": "DTLS 1.2", "FEFC": "DTLS 1.3"}


def inputs(session: Session) -> object:
    """Return what the path depends on."""
    connection = session.connection
    return (
        session.succession.ice_restarts,
        session.relays.configuration,
        connection and (connection.established, connection.report, connection.recovery.last_outage),
    )


def path(session: Session) -> Path:
    """Present it."""
    connection = session.connection
    if connection is None or not connection.established or connection.report is None:
        return Path(ice_generation=session.succession.ice_restarts)
    report = connection.report
    return Path(
        kind=report.path,
        local_candidate=report.local.type,
        remote_candidate=report.remote.type,
        protocol=report.local.protocol,
        relay_protocol=report.local.relay_protocol,
        ice_generation=session.succession.ice_restarts,
        facts=_facts(session, connection, report),
    )


def _facts(session: Session, connection: Connection, report: PathReport) -> tuple[Fact, ...]:
    local, remote = (_CANDIDATE_WORDS.get(end.type, end.type) for end in (report.local, report.remote))
    facts = [
        Fact("path", "Path", "Relay" if report.path == "relay" else "Direct"),
        Fact("protocol", "Protocol", report.local.protocol.upper()),
        Fact("local-candidate", "This side", local),
        Fact("remote-candidate", "Other side", remote),
    ]
    if report.local.type == "relay" and report.server:
        name = session.relays.configuration.server_name(report.server)
        facts.append(Fact("server", "Relay server", name))
    if report.local.relay_protocol:
        facts.append(Fact("relay-protocol", "To the relay", report.local.relay_protocol.upper()))
    trip = "not measured" if report.round_trip is None else f"{report.round_trip * 1000:.0f} ms"
    facts += [
        Fact("round-trip", "Round trip", trip),
        Fact("sent", "Sent", _amount(report.bytes_sent)),
        Fact("received", "Received", _amount(report.bytes_received)),
        Fact("encryption", "Encryption", _TLS_VERSIONS.get(report.tls_version, "DTLS")),
        Fact("restarts", "ICE restarts", str(session.succession.ice_restarts)),
    ]
    if (seconds := connection.recovery.last_outage) is not None:
        facts.append(Fact("interruption", "Last interruption", f"{seconds:.1f} s"))
    return tuple(facts)


def _amount(size: int) -> str:
    """Return a number of bytes in SI units."""
    if size < 1000:
        return f"{size} B"
    if size < 999_950:  # above, the kilobytes would be rounded to 1000
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.1f} MB"
