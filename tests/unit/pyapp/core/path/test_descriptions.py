"""The descriptions and candidates of both sides, and what of them becomes of relays and restarts."""

from pyapp.core import events
from pyapp.core.commands import CancelTimer, SetConfiguration, SetRemoteDescription, StartTimer
from pyapp.core.path.connection import FIRST_OFFER
from pyapp.core.path.descriptions import Descriptions
from pyapp.core.path.facts import Failed, SocketDoubted
from pyapp.core.path.observation import STATS, STATS_EVERY, STATS_SETTLED
from pyapp.core.path.recovery import JUSTIFIED_AFTER
from pyapp.core.path.replacement import Replacement
from pyapp.protocol.entries import Entry
from pyapp.protocol.peer import Candidate, Description
from tests.unit.pyapp.fakes import sdp
from tests.unit.pyapp.parts import ONE, Parts, report

HOST = Candidate("candidate:1 1 udp 2122252543 192.0.2.7 9 typ host", "0", 0, "r1")
RESTART = Description("offer", sdp("r2"), 2, 1)


def descriptions(parts: Parts, *, established: bool = True) -> Descriptions:
    parts.observation.established = established
    replacement = Replacement(parts.health, parts.observation, parts.outside)
    candidates = parts.relaying.candidates
    return Descriptions(parts.agreed, candidates, parts.health, parts.observation, parts.relaying, replacement)


def test_an_offer_that_is_applied_ends_the_wait_for_it() -> None:
    offer = events.SessionDescription("offer", sdp("r1"))
    assert CancelTimer(FIRST_OFFER) in descriptions(Parts()).receive(events.RemoteDescriptionSet(1, offer), 0.0)
    answer = events.SessionDescription("answer", sdp("r1"))
    assert CancelTimer(FIRST_OFFER) not in descriptions(Parts()).receive(events.RemoteDescriptionSet(1, answer), 0.0)


def test_a_restart_of_theirs_in_a_silence_puts_our_socket_in_doubt() -> None:
    parts = Parts()
    late = max(JUSTIFIED_AFTER, parts.health.pulse.patience())
    assert SocketDoubted() in descriptions(parts).remote_description(RESTART, late)
    assert SocketDoubted() not in descriptions(Parts()).remote_description(RESTART, 0.0)


def test_a_restart_of_theirs_gathers_before_it_is_applied() -> None:
    outputs = descriptions(Parts(report())).remote_description(RESTART, 0.0)
    kinds = [type(output) for output in outputs if isinstance(output, SetConfiguration | SetRemoteDescription)]
    assert kinds == [SetConfiguration, SetRemoteDescription]


def test_a_description_and_a_failure_are_noted() -> None:
    one = descriptions(Parts())
    said = one.remote_description(RESTART, 0.0)[0]
    assert isinstance(said, Entry)
    assert said.event == "description"
    failed = one.receive(events.PeerOperationFailed("setLocalDescription", "why", 9), 0.0)[0]
    assert isinstance(failed, Entry)
    assert failed.event == "operation-failed"


def test_a_sample_that_failed_is_not_the_last() -> None:
    failed = events.PeerOperationFailed("getStats", "InvalidStateError: not now")
    assert StartTimer(STATS, STATS_EVERY) in descriptions(Parts(report())).receive(failed, 9.0)


def test_a_candidate_of_theirs_may_be_that_of_the_path_in_use() -> None:
    assert str(STATS_SETTLED) in str(descriptions(Parts(report())).remote_candidate(HOST, 1.0))
    assert str(STATS_SETTLED) not in str(descriptions(Parts()).remote_candidate(HOST, 1.0))


def test_nothing_gathered_is_the_end_of_a_first_connection_alone() -> None:
    ended = events.LocalCandidatesEnded(None)  # without a single candidate before
    first = descriptions(Parts(), established=False)
    first.receive(events.CandidateError(ONE, 701, "no answer", ""), 0.0)
    assert isinstance(first.receive(ended, 0.0)[-1], Failed)
    later = descriptions(Parts())
    replacing = descriptions(Parts(), established=False)
    replacing.replacement.begin(1)
    for one in (later, replacing):
        one.receive(events.CandidateError(ONE, 701, "no answer", ""), 0.0)
        assert not any(isinstance(output, Failed) for output in one.receive(ended, 0.0))
