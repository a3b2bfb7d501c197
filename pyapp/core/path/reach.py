"""Whether a relay is in use that may not be needed. Pure.

Chromium stops gathering when the first pair works. If that pair had a relay, on a busy machine for one, the other side
may never hear of the address by which we could be reached directly, though UDP gets through. And Chromium may leave a
direct path for one over a relay that works, too: a check from a relay whose candidate is still on its way makes a
peer-reflexive pair, which looks better than it is and is nominated.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.protocol.ice import IceError, parse_candidate, username_fragments
from pyapp.protocol.peer import Candidate

Family: TypeAlias = Literal["IPv4", "IPv6"]

MOST_GENERATIONS = 64
"""ICE generations that are remembered, and addresses: the other side can name as many as it likes."""

_CANDIDATE = re.compile(r"^a=(candidate:.*)$", re.MULTILINE)


@dataclass(slots=True)
class Reach:
    """By ICE generation (`ufrag`), the families in which each side can be reached, and if there was a direct path."""

    _ours: dict[str, set[Family]] = field(default_factory=dict)
    _theirs: dict[str, set[Family]] = field(default_factory=dict)
    _were_direct: set[str] = field(default_factory=set)
    _our_addresses: set[str] = field(default_factory=set)
    _their_addresses: set[str] = field(default_factory=set)
    """Under which each side is seen from outside: of its reflexive candidates."""

    def told(self, candidate: Candidate) -> None:
        """Take a candidate of ours."""
        _add(self._ours, self._our_addresses, candidate.username_fragment or "", candidate.candidate)

    def heard(self, candidate: Candidate) -> None:
        """Take one of the other side's."""
        _add(self._theirs, self._their_addresses, candidate.username_fragment or "", candidate.candidate)

    def heard_in(self, sdp: str) -> None:
        """Take those of the other side's that are in its description."""
        families: dict[str, set[Family]] = {}
        for text in _CANDIDATE.findall(sdp):
            _add(families, self._their_addresses, "", text)
        for fragment in username_fragments(sdp):
            _families(self._theirs, fragment).update(families.get("", ()))

    @property
    def share_address(self) -> bool:
        """Whether both sides are seen under one public address, and so are likely to be on one network."""
        return not self._our_addresses.isdisjoint(self._their_addresses)

    def may_be_direct(self, report: PathReport, remote_fragments: frozenset[str]) -> bool:
        """Take the path in use; return whether its relay may not be needed, and a new gathering would show it."""
        fragment = report.local.username_fragment
        if report.path == "direct":
            if report.remote.type != "prflx":  # that may be a relay whose candidate is still on its way
                self._were_direct.add(fragment)
            return False
        return fragment in self._were_direct or self._was_cut_short(report, remote_fragments)

    def _was_cut_short(self, report: PathReport, remote_fragments: frozenset[str]) -> bool:
        # UDP must get through to a relay: where it is blocked, there is nothing more to tell.
        if report.kind != "relay over UDP" or report.local.username_fragment not in self._ours:
            return False
        ours = self._ours[report.local.username_fragment]
        theirs = {family for fragment in remote_fragments for family in self._theirs.get(fragment, ())}
        return not ours or bool(theirs and theirs.isdisjoint(ours))


def _families(told: dict[str, set[Family]], fragment: str) -> set[Family]:
    if fragment not in told and len(told) >= MOST_GENERATIONS:
        del told[next(iter(told))]
    return told.setdefault(fragment, set())


def _add(told: dict[str, set[Family]], addresses: set[str], fragment: str, text: str) -> None:
    families = _families(told, fragment)
    try:
        line = parse_candidate(text)
    except IceError:  # the end of candidates; what is garbled is in the journal
        return
    is_hidden = line.address.endswith(".local")  # behind an mDNS name, for the same network alone
    if line.type == "relay" or is_hidden or line.protocol != "udp":
        return
    if line.type == "srflx" and len(addresses) < MOST_GENERATIONS:
        addresses.add(line.address)
    families.add("IPv6" if ":" in line.address else "IPv4")
