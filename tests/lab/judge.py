"""What came of a cell, beside what could come: one word, three-valued. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.expect import Best, Leg, Path

if TYPE_CHECKING:
    from collections.abc import Collection


class Verdict(enum.Enum):
    """How a cell came out."""

    OK = "ok"  # as good as expected, or better
    WORSE = "worse"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The selected pair as one end's `getStats` has it.

    `leg` is how this end talks to its own relay. `is_near` is whether the remote address is the other host's own, on
    the same LAN, whatever its candidate is called: of a host candidate and a reflexive one with one address Chromium
    makes one pair, named by the one that came first; and it hides no IPv6 address where there is no IPv4 (it binds its
    mDNS socket to ff02::fb without a scope, which Linux refuses), so that a host tells it as a reflexive one alone.
    `is_hidden` is whether a page may not read the remote address: that of a peer-reflexive candidate.
    """

    local: str
    remote: str
    protocol: str = "udp"
    leg: Leg | None = None
    is_near: bool = False
    is_hidden: bool = False

    @property
    def relays(self) -> int:
        """How many relays the packets pass, as this end sees it."""
        return (self.local == "relay") + (self.remote == "relay")

    @property
    def path(self) -> Path:
        """Where the packets go."""
        if self.relays:
            return Path.RELAY
        return Path.HOST if self.is_near or self.local == self.remote == "host" else Path.DIRECT

    def line(self) -> str:
        """One greppable line."""
        return f"{self.local}/{self.remote}" + (f" over {self.leg.name.lower()}" if self.leg is not None else "")


def judge(expected: Best, left: Found | None, right: Found | None) -> Verdict:
    """Compare. Each end speaks for what it sends: the two may differ, and the worse one counts."""
    if not left or not right:
        return Verdict.FAILED
    path = max(_path(left, right), _path(right, left))
    if path is not expected.path:
        return Verdict.OK if path < expected.path else Verdict.WORSE
    if path is not Path.RELAY:
        return Verdict.OK
    relays = max(left.relays, right.relays)
    if relays != expected.relays:
        return Verdict.OK if relays < expected.relays else Verdict.WORSE
    return Verdict.OK if _cost(left.leg, right.leg) <= _expected_cost(expected) else Verdict.WORSE


def _path(end: Found, other: Found) -> Path:
    """Return where the packets of `end` go: where its remote address is hidden, `other` knows whether it is near."""
    is_near = end.is_hidden and end.path is Path.DIRECT and other.path is Path.HOST
    return Path.HOST if is_near else end.path


def _cost(*legs: Leg | None) -> int:
    return sum(leg for leg in legs if leg is not None)


def _expected_cost(expected: Best) -> int:
    if expected.either:
        return min(leg for leg in (expected.left, expected.right) if leg is not None)
    return _cost(expected.left, expected.right)


def found(stats: dict[str, str] | None, near: Collection[str] = ()) -> Found | None:
    """Read what `instrument.js` picked from `getStats`. `near` are the other host's addresses on the same LAN."""
    if not stats:
        return None
    relay_protocol = stats["relayProtocol"]
    return Found(
        local=stats["local"],
        remote=stats["remote"],
        protocol=stats["protocol"],
        leg=Leg[relay_protocol.upper()] if relay_protocol and stats["local"] == "relay" else None,
        is_near=stats["remoteAddress"] in near,
        is_hidden=not stats["remoteAddress"],
    )
