"""The priorities at which our browser is given the peer's candidates: higher with each ICE restart. Pure.

In a restart libwebrtc keeps the pairs of earlier generations. It prunes every new pair of lower priority than the
selected one while that one seems writable: until 2.5 s after the last packet (`BasicIceController`). A pruned pair
answers checks but sends none. The generation only decides between equals; the pair's priority comes first, and depends
mainly on the lower of its two candidate priorities (RFC 8445, section 6.1.2.3). So a relay, or the address of a second
interface, was not checked after a direct path had died.

The browser sets the priority of our own candidates. That of the peer's is in the argument of `addIceCandidate()`, where
we can choose it. We choose it so low that it is the lower one in every pair, even with a relay of ours. Thus it alone
decides, and each generation has a band above the last one. Within a band the peer's order is kept.

Peer-reflexive candidates, which the browser discovers itself, have the priority in the peer's check (section 7.1.1),
which is higher than any of these. Once a pair with one is selected, the next generation is placed above it. That is
enough for pairs with a host candidate of ours, and impossible for those with a relay.

The priorities are also the order of the first checks, one every 48 ms: each candidate of theirs is checked with all our
relays before the next. A symmetric NAT (RFC 4787, section 4.1) has several reflexive candidates, none of which can be
reached: what comes directly from there is peer-reflexive. So the relays of such a side are checked before the first of
these, and the other reflexive candidates not at all: a check that is lost, because the relay has no permission yet, is
retransmitted only after all others have had their turn. While a TURN server is down a single port may be seen: so what
the generation before has shown of an address counts, too.
"""

import re
from bisect import bisect
from dataclasses import dataclass, field

RANKS = 64
"""Ranks in a band: eight kinds of candidates, and eight of each kind."""

LOW = 8000
"""No candidate of ours has a lower priority: Chromium gives a relay over TLS, its lowest, 8191."""

ABOVE_PEER_REFLEXIVE = 111 << 24
"""The type preference that RFC 8445 recommends for peer-reflexive candidates is 110 (section 5.1.2.2)."""

HIGHEST = 2**31 - 1
"""The highest priority (RFC 8445, section 5.1.2)."""

_PRIORITY = re.compile(r"^((?:a=)?candidate:\S+ \d+ \S+) (\d{1,10}) (?=(?:(\S+) \d+ typ (\w+))?)", re.MULTILINE)
_REFLEXIVE = re.compile(
    r"^(?:a=)?candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ srflx raddr (\S+) rport (\d+)(?:.* network-id (\d+))?",
    re.MULTILINE,
)
_COST = re.compile(r"^(?:a=)?candidate:.* network-cost (\d{1,3})\b", re.MULTILINE)
_KINDS = (1, 2, 3, 50, 95, 105, 120)
"""Type preferences at which a kind begins: relays over TLS, TCP and UDP, host over TCP, reflexive, host."""
_RELAY_OVER_UDP, _PEER_REFLEXIVE = 2, 6
"""Kinds; candidates of the second are never signaled."""

MOST_REMEMBERED = 64
"""Sockets of the peer's whose ports are remembered: it can name any number."""


@dataclass(slots=True)
class Precedence:
    """The bands for the candidates of one connection's peer."""

    selected: int = 0
    """The lower candidate priority of the selected pair, as the browser counts it."""
    network_cost: int = 0
    """The last network cost of a candidate of the peer's, a libwebrtc extension that takes precedence over the
    priority."""
    _band: int = field(init=False, default=1)
    """The priority of the lowest candidate of their generation."""
    _ports: dict[tuple[str, str, str, str], str] = field(init=False, default_factory=dict)
    """The first mapped port of each of their sockets in this generation, by address, base and network."""
    _symmetric: set[str] = field(init=False, default_factory=set)
    """Their public addresses at which a socket was mapped to another port since."""
    _was_symmetric: frozenset[str] = field(init=False, default=frozenset())
    """The same of their generation before. No longer: they may be in another network behind the same address."""
    _is_symmetric: bool = field(init=False, default=False)
    """Whether one of their addresses is of a symmetric NAT."""

    def begin(self, *, below_peer_reflexive: bool) -> None:
        """Begin their next generation.

        With `below_peer_reflexive` it stays below the candidates that the browser discovers. Firefox sends checks
        before its answer has arrived, and so appears as peer-reflexive. If that had a lower priority than the selected
        pair, its pair would be pruned for good, while Firefox is about to leave the old one.
        """
        band = max(self._band + RANKS, self.selected + 1)
        if band + RANKS > LOW:
            band = LOW - RANKS if below_peer_reflexive else max(band, ABOVE_PEER_REFLEXIVE)
        self._band = min(band, HIGHEST - RANKS)
        self._ports.clear()
        self._was_symmetric = frozenset(self._symmetric)
        self._symmetric.clear()
        self._is_symmetric = False

    def is_pointless(self, text: str) -> bool:
        """Return whether `candidate:…` is another mapped port of a socket whose first one the browser has."""
        match = _REFLEXIVE.match(text)
        return match is not None and self._ports.get(_socket(match), match[2]) != match[2]

    def handed(self, text: str) -> str:
        """Return `candidate:…`, or a description, as it is given to the browser."""
        for match in _COST.finditer(text):
            self.network_cost = int(match[1])
        for match in _REFLEXIVE.finditer(text):
            if len(self._ports) < MOST_REMEMBERED and self._ports.setdefault(_socket(match), match[2]) != match[2]:
                self._symmetric.add(match[1])
            self._is_symmetric |= match[1] in self._symmetric | self._was_symmetric
        return _PRIORITY.sub(lambda match: f"{match[1]} {self._band + self._rank(match)} ", text)

    def _rank(self, candidate: re.Match[str]) -> int:
        rank, address, type_ = _rank(int(candidate[2])), candidate[3] or "", candidate[4]
        if self._is_symmetric and type_ == "relay" and rank // 8 == _RELAY_OVER_UDP:
            return _PEER_REFLEXIVE * 8 + rank % 8 // 2
        if type_ == "srflx" and ":" in address:  # IPv6 is not translated: it stays above those relays
            return _PEER_REFLEXIVE * 8 + 4 + rank % 8 // 2
        return rank


def _socket(reflexive: re.Match[str]) -> tuple[str, str, str, str]:
    """Return the public address of a reflexive candidate, its base, and its network."""
    return reflexive[1], reflexive[3], reflexive[4], reflexive[5] or ""


def _rank(priority: int) -> int:
    """Return a candidate's rank from 0 to 63, in the order of its own priority.

    In Chromium a candidate bound to no interface has local preference 30, and a relay two more for each server after
    its own in the list. Those of interfaces are far higher, and share one rank.
    """
    preference, rest = divmod(priority, 1 << 24)
    return bisect(_KINDS, preference) * 8 + min(max((rest >> 8) - 28, 0) // 2, 7)
