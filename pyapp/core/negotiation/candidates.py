"""The candidates of both sides as they pass through this page: journaled, counted, and some delayed for a moment.

`head_start` says which of ours are delayed; `reach` remembers what each side was told.
`negotiation` sends or applies a candidate only once the description it belongs to has been sent or applied.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.diagnostics.gathering import Gathering, local_candidate, remote_candidate
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.negotiation import head_start, negotiation
from pyapp.core.negotiation.head_start import HeadStart
from pyapp.core.negotiation.negotiation import Negotiation
from pyapp.core.path.reach import Address, Reach
from pyapp.protocol import entries
from pyapp.protocol.peer import Candidate

Output: TypeAlias = negotiation.Output | PartCommand


@dataclass(slots=True)
class Candidates:
    """The candidates of one connection, whose descriptions are in `agreed`. `trip` is the RTT in seconds."""

    agreed: Negotiation
    gathering: Gathering = field(init=False, default_factory=Gathering)
    _head_start: HeadStart = field(init=False, default_factory=HeadStart)
    _reach: Reach = field(init=False, default_factory=Reach)

    def gathered(self, candidate: Candidate, url: str, report: PathReport | None, trip: float) -> list[Output]:
        """Handle a candidate of ours from the server at `url`; `report` is of the path in use."""
        entry = local_candidate(candidate, url)
        self.gathering.candidate(entry)
        self._reach.told(candidate)
        result: list[Output] = [entry]
        if self._head_start.holds(candidate, entry, report):
            after = head_start.HEAD_START + trip
            return [*result, commands.StartTimer(head_start.TIMER, after, only_if_idle=True)]
        told = [*result, *self.agreed.local_candidate(candidate)]
        return [*told, *self.head_start_over()] if self._head_start.is_pointless else told

    def gathering_failed(self, url: str, code: int, text: str, address: str) -> list[Output]:
        """Handle an `icecandidateerror` of the server at `url`."""
        self.gathering.error(url, code, text)
        return [entries.CandidateError(url, code, address, text)]

    def gathering_ended(self) -> list[Output]:
        """Handle the end of our candidates."""
        ended = entries.LocalCandidate(end=True)
        return [ended] if self._head_start.holds_end() else [ended, *self.agreed.local_candidates_ended()]

    def head_start_over(self) -> list[Output]:
        """Send the peer the delayed candidates (timer `head_start.TIMER`)."""
        result: list[Output] = []
        for candidate in self._head_start.over():
            result += (
                self.agreed.local_candidates_ended() if candidate is None else self.agreed.local_candidate(candidate)
            )
        return result

    def heard(self, candidate: Candidate) -> list[Output]:
        """Handle a candidate of the peer's."""
        self._reach.heard(candidate)
        return [remote_candidate(candidate), *self.agreed.remote_candidate(candidate)]

    def heard_in(self, sdp: str) -> None:
        """Handle the candidates in the peer's description."""
        self._reach.heard_in(sdp)

    def may_be_direct(self, report: PathReport) -> bool:
        """Return whether the relay in `report` may be needless."""
        is_first = self.agreed.ice_generation == 0
        return self._reach.may_be_direct(report, self.agreed.fragments[1], is_first=is_first)

    def told_nothing(self, report: PathReport) -> bool:
        """Return whether the peer knows no address at which we can be reached directly."""
        return self._reach.told_nothing(report)

    @property
    def theirs(self) -> frozenset[Address]:
        """Where the peer can be reached without a relay, as its latest description and candidates say."""
        return self._reach.theirs(self.agreed.fragments[1])

    @property
    def reached(self) -> AbstractSet[str]:
        """The addresses at which we can be reached over UDP, in our latest ICE generation."""
        return self._head_start.reached

    @property
    def share_address(self) -> bool | None:
        """Whether both sides have the same public address; None: neither knows its own."""
        return self._reach.share_address
