"""Whether the relay in use may be needless. Pure.

Chromium stops gathering when the first candidate pair works. If that pair has a relay, for instance on a busy machine,
the peer may never learn the address at which we can be reached directly, although UDP gets through. Chromium may also
leave a direct path for a relayed one, or never check it: a check from a relay whose candidate has not arrived yet makes
a peer-reflexive pair, which looks better than it is, is nominated, and prunes the others.

So only two networks with address- and port-dependent mapping (symmetric NAT; RFC 4787, section 4.1) are certain to need
a relay. One of these beside a network with port-dependent filtering does, too, but that cannot be detected. It is
likely, though: worth one look when the two meet, and none after each change of network.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core.diagnostics.path_report import PathReport, is_private, site_of
from pyapp.protocol.ice import IceError, parse_candidate, username_fragments
from pyapp.protocol.peer import Candidate

Address: TypeAlias = tuple[str, int]
"""IP address and port."""

MOST_GENERATIONS = 64
"""ICE generations, and addresses, that are remembered: the peer can name any number."""

_CANDIDATE = re.compile(r"^a=(candidate:.*)$", re.MULTILINE)


@dataclass(slots=True)
class Reach:
    """By ICE generation (`ufrag`): where each side can be reached, and whether there was a direct path."""

    _ours: dict[str, set[Address]] = field(init=False, default_factory=dict)
    _theirs: dict[str, set[Address]] = field(init=False, default_factory=dict)
    _were_direct: set[str] = field(init=False, default_factory=set)
    _our_addresses: set[str] = field(init=False, default_factory=set)
    _their_addresses: set[str] = field(init=False, default_factory=set)
    """The public addresses of each side, from its reflexive candidates; of IPv6 what its network has in common."""

    def told(self, candidate: Candidate) -> None:
        """Record a candidate of ours."""
        _add(self._ours, self._our_addresses, candidate.username_fragment or "", candidate.candidate)

    def heard(self, candidate: Candidate) -> None:
        """Record a candidate of the peer's."""
        _add(self._theirs, self._their_addresses, candidate.username_fragment or "", candidate.candidate)

    def heard_in(self, sdp: str) -> None:
        """Record the candidates in the peer's description."""
        told: dict[str, set[Address]] = {}
        for text in _CANDIDATE.findall(sdp):
            _add(told, self._their_addresses, "", text)
        for fragment in username_fragments(sdp):
            _of(self._theirs, fragment).update(told.get("", ()))

    @property
    def share_address(self) -> bool | None:
        """Whether both sides have the same public address, and so are probably on one network; None: they know none."""
        if not self._our_addresses.isdisjoint(self._their_addresses):
            return True
        return None if all(map(is_private, self._our_addresses | self._their_addresses)) else False

    def theirs(self, fragments: frozenset[str]) -> frozenset[Address]:
        """Return where the peer can be reached without a relay, in its ICE generation of `fragments`."""
        return frozenset(address for fragment in fragments for address in self._theirs.get(fragment, ()))

    def may_be_direct(self, report: PathReport, remote_fragments: frozenset[str], *, is_first: bool) -> bool:
        """Take the path in use; return whether its relay may be needless, and a new gathering would show that.

        `is_first` says whether ICE has not been restarted yet.
        """
        fragment = report.local.username_fragment
        if report.path == "direct":
            if report.remote.type != "prflx":  # that may be a relay whose candidate is still on its way
                self._were_direct.add(fragment)
            return False
        return fragment in self._were_direct or self._can_meet(report, remote_fragments, is_first=is_first)

    def told_nothing(self, report: PathReport) -> bool:
        """Return whether the peer knows no address of ours in the ICE generation in use: our gathering ended early."""
        return not self._ours.get(report.local.username_fragment)

    def _can_meet(self, report: PathReport, remote_fragments: frozenset[str], *, is_first: bool) -> bool:
        # UDP must reach a relay: where it is blocked, no direct path can be expected.
        if report.kind != "relay over UDP" or report.local.username_fragment not in self._ours:
            return False
        ours = self._ours[report.local.username_fragment]
        theirs = self.theirs(remote_fragments)
        most_symmetric = 1 if is_first else 0
        symmetric = _was_symmetric(self._ours, ours) + _was_symmetric(self._theirs, theirs)
        return not ours or (bool(theirs) and symmetric <= most_symmetric)


def is_symmetric(reached: AbstractSet[Address]) -> bool:
    """Return whether one socket was mapped to two ports of one address."""
    return len({address for address, _ in reached}) < len(reached)


def _was_symmetric(told: Mapping[str, AbstractSet[Address]], reached: AbstractSet[Address]) -> bool:
    """Return whether an address of `reached` was symmetric in any generation: one STUN server alone cannot show it."""
    addresses = {address for address, _ in reached}
    return any(is_symmetric({each for each in generation if each[0] in addresses}) for generation in told.values())


def _of(told: dict[str, set[Address]], fragment: str) -> set[Address]:
    if fragment not in told and len(told) >= MOST_GENERATIONS:
        del told[next(iter(told))]
    return told.setdefault(fragment, set())


def _add(told: dict[str, set[Address]], addresses: set[str], fragment: str, text: str) -> None:
    reached = _of(told, fragment)
    try:
        line = parse_candidate(text)
    except IceError:  # the end of candidates; what is garbled is in the journal
        return
    is_hidden = line.address.endswith(".local")  # an mDNS name, useful only on the same network
    if line.type == "relay" or is_hidden or line.protocol != "udp":
        return
    if line.type == "srflx" and len(addresses) < MOST_GENERATIONS:
        addresses.add(site_of(line.address) or line.address)
    if len(reached) < MOST_GENERATIONS:
        reached.add((line.address, line.port))
