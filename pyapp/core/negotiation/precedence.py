"""What the other side's candidates are worth to our browser: those of an ICE restart more than all before. Pure.

In a restart libwebrtc keeps the pairs of earlier generations, and prunes every new pair that is worth less than the
selected one for as long as that one looks writable: 2.5 s after the last packet (`BasicIceController`). A pruned pair
answers checks and sends none. The generation counts only between equals; what decides is the pair's priority, and that
is first of all the lower one of its two candidates (RFC 8445, section 6.1.2.3). So a relay, or the address of a second
interface, was not checked after a direct path had died.

The priority of our own candidates is the browser's. That of the other side's stands in what `addIceCandidate()` is
given. There it is ours to choose, and so low that it is the lower one in every pair, with a relay of ours, too: now it
alone decides, and each generation has a band above the last one. Within a band the order is the other side's.

Peer-reflexive candidates, which the browser finds itself, keep the priority that the other side's check names
(section 7.1.1), and so are worth more than any of these. Once a pair with one is selected, the next generation is
handed over above it: enough for pairs with a host candidate of ours, and not to be had for those with a relay.

The order of priorities is that of the first checks, too, one every 48 ms: each candidate of theirs is checked with all
relays of ours before the next. A network that shows another port to each destination (symmetric NAT; RFC 4787, section
4.1) has several reflexive candidates, and nobody answers at any of them: what comes from there directly is
peer-reflexive. So the relays of such a side are checked before the first of these, and the others not at all: a check
that is lost, before the relay has its permission, is sent again when all others have had their turn.
"""

import re
from bisect import bisect
from dataclasses import dataclass, field

RANKS = 64
"""Ranks in a band: eight kinds of candidates, and eight of each kind."""

LOW = 8000
"""No candidate of ours is worth less: Chromium gives a relay over TLS, its cheapest, 8191."""

ABOVE_PEER_REFLEXIVE = 111 << 24
"""The type preference that RFC 8445 recommends for peer-reflexive candidates is 110 (section 5.1.2.2)."""

HIGHEST = 2**31 - 1
"""Of all priorities (RFC 8445, section 5.1.2)."""

_PRIORITY = re.compile(r"^((?:a=)?candidate:\S+ \d+ \S+) (\d{1,10}) (?=(?:(\S+) \d+ typ (\w+))?)", re.MULTILINE)
_REFLEXIVE = re.compile(
    r"^(?:a=)?candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ srflx raddr (\S+) rport (\d+)(?:.* network-id (\d+))?",
    re.MULTILINE,
)
_COST = re.compile(r"^(?:a=)?candidate:.* network-cost (\d{1,3})\b", re.MULTILINE)
_KINDS = (1, 2, 3, 50, 95, 105, 120)
"""Type preferences at which a kind begins: relays over TLS, TCP and UDP, host over TCP, reflexive, host."""
_RELAY_OVER_UDP, _PEER_REFLEXIVE = 2, 6
"""Kinds; of the second, none is ever told."""

MOST_REMEMBERED = 64
"""Sockets of the other side whose ports are remembered: it can name as many as it likes."""


@dataclass(slots=True)
class Precedence:
    """The bands of one connection's other side."""

    selected: int = 0
    """The lower candidate priority of the selected pair, as the browser counts it."""
    network_cost: int = 0
    """What a candidate of the other side cost last, an extension of libwebrtc's that counts before the priority."""
    _band: int = field(init=False, default=1)
    """The priority that the least of the candidates of their generation is given."""
    _ports: dict[tuple[str, str, str, str], str] = field(init=False, default_factory=dict)
    """The port at which each of their sockets was seen first in this generation, by address, base and network."""
    _is_symmetric: bool = field(init=False, default=False)
    """Whether one was seen at another one since."""

    def begin(self, *, below_peer_reflexive: bool) -> None:
        """Begin the next generation of theirs.

        With `below_peer_reflexive` it stays below what the browser finds itself. Firefox checks before its answer is
        here, and so is taken for peer-reflexive; were that worth less than the selected pair, its pair would be pruned
        for good, and Firefox is about to leave the old one.
        """
        band = max(self._band + RANKS, self.selected + 1)
        if band + RANKS > LOW:
            band = LOW - RANKS if below_peer_reflexive else max(band, ABOVE_PEER_REFLEXIVE)
        self._band = min(band, HIGHEST - RANKS)
        self._ports.clear()
        self._is_symmetric = False

    def is_pointless(self, text: str) -> bool:
        """Return whether `candidate:…` names another port of a socket whose first port was handed over."""
        match = _REFLEXIVE.match(text)
        return match is not None and self._ports.get(_socket(match), match[2]) != match[2]

    def handed(self, text: str) -> str:
        """Return `candidate:…`, or a description, as it is handed to the browser."""
        for match in _COST.finditer(text):
            self.network_cost = int(match[1])
        for match in _REFLEXIVE.finditer(text):
            if len(self._ports) < MOST_REMEMBERED:
                self._is_symmetric |= self._ports.setdefault(_socket(match), match[2]) != match[2]
        return _PRIORITY.sub(lambda match: f"{match[1]} {self._band + self._rank(match)} ", text)

    def _rank(self, candidate: re.Match[str]) -> int:
        rank, address, type_ = _rank(int(candidate[2])), candidate[3] or "", candidate[4]
        if self._is_symmetric and type_ == "relay" and rank // 8 == _RELAY_OVER_UDP:
            return _PEER_REFLEXIVE * 8 + rank % 8 // 2
        if type_ == "srflx" and ":" in address:  # which no network translates: it stays above those relays
            return _PEER_REFLEXIVE * 8 + 4 + rank % 8 // 2
        return rank


def _socket(reflexive: re.Match[str]) -> tuple[str, str, str, str]:
    """Return the public address of a reflexive candidate, its base, and its network."""
    return reflexive[1], reflexive[3], reflexive[4], reflexive[5] or ""


def _rank(priority: int) -> int:
    """Return a candidate's rank from 0 to 63 by its own priority, in the same order.

    The local preference of a candidate that is bound to no interface is 30 in Chromium, and two more for a relay with
    each server behind its own in the list. Interfaces have far higher ones: theirs are one rank.
    """
    preference, rest = divmod(priority, 1 << 24)
    return bisect(_KINDS, preference) * 8 + min(max((rest >> 8) - 28, 0) // 2, 7)
