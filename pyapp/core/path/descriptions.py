"""The descriptions and candidates of both sides: what of them becomes of relays, restarts and an outage.

`negotiation` says when a description is made or applied, `candidates` and `relaying` what it brings.
"""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from pyapp.core import commands, events
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.negotiation import Negotiation
from pyapp.core.path.facts import PartOutput, SocketDoubted
from pyapp.core.path.observation import Observation
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relaying import Relaying
from pyapp.core.path.replacement import Replacement
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol import entries
from pyapp.protocol.peer import Candidate, Description

NegotiationEvent: TypeAlias = (
    events.NegotiationNeeded
    | events.LocalDescriptionSet
    | events.RemoteDescriptionSet
    | events.PeerOperationFailed
    | events.LocalCandidate
    | events.LocalCandidatesEnded
    | events.CandidateError
)


@dataclass(slots=True)
class Descriptions:
    """Those of one connection, whose parts it uses. Times are seconds on the runner's clock."""

    agreed: Negotiation
    candidates: Candidates
    health: Recovery
    observation: Observation
    relaying: Relaying
    replacement: Replacement

    def receive(self, event: NegotiationEvent, now: float) -> list[PartOutput]:
        """Handle an event of the `RTCPeerConnection` in use."""
        match event:
            case events.NegotiationNeeded():
                return [*self.agreed.needed()]
            case events.LocalDescriptionSet(attempt, description):
                return [*self.agreed.local_description_set(attempt, description)]
            case events.RemoteDescriptionSet(attempt, description):
                cancel = [commands.CancelTimer(ConnectionTimer.FIRST_OFFER)] if description.type == "offer" else []
                return [*cancel, *self.agreed.remote_description_set(attempt, description)]
            case events.PeerOperationFailed(operation, error, attempt):
                if operation == "getStats":
                    return [*self.observation.failed(error, now)]
                failed = entries.OperationFailed(operation, error)
                return [failed, *self.agreed.operation_failed(operation, attempt)]
            case events.LocalCandidate(candidate, url):
                return self._local_candidate(candidate, url)
            case events.LocalCandidatesEnded():
                return self._local_candidates_ended()
            case events.CandidateError(url, code, text, address):
                return [*self.candidates.gathering_failed(url, code, text, address)]
            case _:
                assert_never(event)

    def remote_description(self, message: Description, now: float) -> list[PartOutput]:
        """Handle a description of the peer's."""
        self.candidates.heard_in(message.sdp)
        agreed = self.agreed
        had_relays = agreed.gathers_relays
        result: list[PartOutput] = [entries.Description(message.type, message.exchange, own=False)]
        if message.type == "offer" and self.health.has_fallen_silent(now):
            # The old socket may still receive, but no longer send; and we gather for this outage now.
            result += [SocketDoubted(), *self.relaying.blame()]
        negotiated = agreed.remote_description(message)
        is_newer = message.generation > agreed.ice_generation
        if message.type == "offer" and self.observation.established and is_newer and agreed.state == "answering":
            # Once begun, it counts as agreed: an offer of ours would now only be another restart after this one.
            begun = self.health.negotiated(message.generation, now)
            return [*result, *self.relaying.with_few(), *negotiated, *begun]
        if agreed.gathers_relays != had_relays:
            result += self.relaying.set_configuration()
        if agreed.state == "applying-answer":
            result += self.health.progressed(now)
        return [*result, *negotiated]

    def remote_candidate(self, candidate: Candidate, now: float) -> list[PartOutput]:
        """Handle a candidate of the peer's."""
        result: list[PartOutput] = [*self.candidates.heard(candidate)]
        # Their end comes late where a server does not answer, and brings nothing to check.
        if candidate.candidate and any(isinstance(output, commands.AddIceCandidate) for output in result):
            result += self.health.progressed(now)
        if self.observation.report is not None:
            # The type of the candidate in use may become known without an event.
            result += self.observation.look_when_settled()
        return result

    def _local_candidate(self, candidate: Candidate, url: str) -> list[PartOutput]:
        well = self.relaying.gathered(candidate, url)
        return [*well, *self.candidates.gathered(candidate, url, self.observation.report, self.health.vitals.trip)]

    def _local_candidates_ended(self) -> list[PartOutput]:
        result: list[PartOutput] = [*self.candidates.gathering_ended()]
        is_first = not (self.observation.established or self.replacement.is_one)
        return [*result, self.relaying.no_path()] if is_first and self.candidates.gathering.found_nothing else result
