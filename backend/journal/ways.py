"""The ways that a recorded session took: through which relays, in words. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple, TypeAlias

from backend.journal.outages import TOGETHER
from backend.journal.reading import Told
from backend.journal.relayed import relay_host
from pyapp.protocol.entries import LocalCandidate, Pair
from pyapp.protocol.ice import IceError, parse_reported_url
from pyapp.protocol.wire import Scalar

Path: TypeAlias = str
"""In words: `direct`, `turn1.example.org over TLS`."""


class Change(NamedTuple):
    """Another path, at Unix time `at`, seconds. `is_told`: nothing else says so."""

    at: float
    before: Path
    path: Path
    is_told: bool


@dataclass(slots=True)
class Ways:
    """The paths that one page had, one after the other."""

    _changes: list[Change] = field(init=False, default_factory=list)

    def take(self, at: float, path: Path, *, is_told: bool) -> None:
        """Take a path. One that lasted for a moment only is not told."""
        last = self._changes[-1] if self._changes else None
        if last is None:
            self._changes.append(Change(at, "", path, is_told=False))
        elif _is_same(path, last.path):
            return
        elif is_told and last.is_told and at < last.at + TOGETHER:
            self._changes.pop()
            if path != last.before:
                self._changes.append(Change(at, last.before, path, is_told=True))
        else:
            self._changes.append(Change(at, last.path, path, is_told))

    def changes(self, *, direct_since: float | None) -> Iterator[Change]:
        """Yield the changes to be told. If the other page was direct at once, this one's relay was for a moment."""
        for number, change in enumerate(self._changes):
            was_at_once = direct_since is not None and number == 1 and change.at < direct_since + TOGETHER
            if change.is_told and not (was_at_once and change.path == "direct"):
                yield change


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths may be one, of which less is known at one end."""
    return one == other or one.startswith(f"{other} over") or other.startswith(f"{one} over")


class Relays:
    """Which relays a path goes through. Of the other side's, a pair has the address alone."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._pairs: list[tuple[Told, Path]] = []
        """Of pages with a relay of their own, with that relay."""
        self._gathered: dict[tuple[str, str, int], set[str]] = {}
        """The relays by which somebody may have got a relayed address and port."""
        for one in told:
            match one.entry:
                case Pair(local_type="relay", server=server, relay_protocol=protocol):
                    self._pairs.append((one, _relay(server, protocol)))
                case LocalCandidate(type="relay", address=address, port=port, server=server):
                    self._gathered.setdefault((one.participant, address, port), set()).add(_gathered(server))

    def path(self, one: Told, pair: Pair) -> Path:
        """Return the path that a `pair` is, which was told so, in words: `direct`, `turn1.example.org over TLS`."""
        if pair.path != "relay":
            return "direct"
        found = [_relay(pair.server, pair.relay_protocol)] if pair.local_type == "relay" else []
        if pair.remote_type == "relay" or not found:
            found.append(self._other(one, pair))
        if len(found) == 1:
            return found[0]
        return f"{found[0]} at both ends" if found[0] == found[1] else " and ".join(sorted(found))

    def _other(self, one: Told, pair: Pair) -> str:
        """Return the other side's relay: that side gathered its address, and said soon which one it is."""
        address = pair.remote_address
        choices = self._choices(one, address, pair.remote_port) or self._choices(one, address)
        if len(choices) == 1:
            return choices.pop()
        others = [(each, relay) for each, relay in self._pairs if each.participant != one.participant]
        if choices:
            others = [(each, relay) for each, relay in others if relay in choices]
        nearest = min(others, key=lambda each: abs(each[0].at - one.at), default=None)
        if nearest is not None and (choices or abs(nearest[0].at - one.at) <= TOGETHER):
            return nearest[1]
        # One relayed address may be had over UDP and over TLS: then the host is known, and no more.
        return min(choices, default="the relay of the other side").partition(" over ")[0]

    def _choices(self, one: Told, address: str, port: int | None = None) -> set[str]:
        """Return the relays by which another page than that of `one` may have got an address, with `port` or any."""
        found = (
            relays
            for (participant, its_address, its_port), relays in self._gathered.items()
            if participant != one.participant and its_address == address and port in (None, its_port)
        )
        return set[str]().union(*found)


@lru_cache(256)  # each restart gathers from the same servers
def _gathered(server: str) -> str:
    try:
        transport = parse_reported_url(server).transport
    except IceError:
        transport = "udp"
    return _relay(server, transport)


def _relay(server: str, protocol: str) -> str:
    return f"{relay_host(server)} over {(protocol or 'udp').upper()}"


def rank_of(pair: Pair) -> int:
    """Return how costly a path is: 0 if it is direct, 1 over a relay by UDP, 2 by TCP."""
    return rank(pair.path, pair.local_type, pair.relay_protocol)


def rank(path: Scalar, local_type: Scalar, relay_protocol: Scalar) -> int:
    """Return the rank of a path of which only this was read."""
    if path != "relay":
        return 0
    return 1 if local_type != "relay" or relay_protocol in (None, "", "udp") else 2


_PRIVATE = tuple(
    map(
        ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
            *("fc00::/7", "fe80::/10", "::1/128"),
        ),
    )
)


def site_of(address: str) -> str:
    """Return what two machines of one site have in common of their addresses: of IPv6 a /64.

    All private addresses are of one: the server's own, which they reach without a NAT.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if any(parsed in network for network in _PRIVATE):
        return "private"
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)


def is_ipv6(pair: Pair) -> bool:
    """Return whether a pair is one of IPv6; False if the browser hides the addresses."""
    return ":" in pair.local_address or ":" in pair.remote_address
