"""Candidates on their way through the page: noted, counted, and some of them held for a moment."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pyapp.core import commands, events
from pyapp.core.negotiation import head_start
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.negotiation import Negotiation, ToPeer
from pyapp.protocol.entries import Entry
from pyapp.protocol.peer import Candidate, Description
from tests.unit.pyapp.core.negotiation.test_head_start import STUN, TLS, UDP, candidate, report
from tests.unit.pyapp.fakes import sdp


def offered() -> Negotiation:
    """Return one whose first offer, of the generation `u`, was sent."""
    agreed = Negotiation(polite=False, initiator=True)
    agreed.needed()
    agreed.local_description_set(1, events.SessionDescription("offer", sdp("u")))
    return agreed


class TestWhatWaited:
    @staticmethod
    def gathering() -> Candidates:
        result = Candidates(offered())
        assert ToPeer(candidate("srflx", port=5000)) in gathered(result, candidate("srflx", port=5000), STUN)
        return result

    def test_is_told_when_the_timer_fires(self) -> None:
        candidates = self.gathering()
        relay = candidate("relay")
        held = gathered(candidates, relay, UDP)
        assert ToPeer(relay) not in held
        assert commands.StartTimer(head_start.TIMER, head_start.HEAD_START + 0.1, only_if_idle=True) in held
        assert candidates.head_start_over() == [ToPeer(relay)]
        assert candidates.head_start_over() == []

    def test_is_told_at_once_when_a_symmetric_nat_becomes_known(self) -> None:
        candidates = self.gathering()
        relays = [candidate("relay", port=port) for port in (50_000, 50_001)]
        for relay in relays:
            assert ToPeer(relay) not in gathered(candidates, relay, UDP)
        second = candidate("srflx", port=5001)
        told = [output for output in gathered(candidates, second, UDP) if isinstance(output, ToPeer)]
        # The address first: relays need it for their permissions.
        assert told == [ToPeer(second), *map(ToPeer, relays)]
        assert candidates.head_start_over() == []

    def test_is_told_with_the_end_of_candidates_after_it(self) -> None:
        candidates = self.gathering()
        relay = candidate("relay")
        gathered(candidates, relay, UDP)
        end = ToPeer(Candidate("", None, 0, "u"))
        assert end not in candidates.gathering_ended()
        assert candidates.head_start_over() == [ToPeer(relay), end]

    def test_is_nothing_where_there_is_nothing_to_wait_for(self) -> None:
        candidates = Candidates(offered())
        relay = candidate("relay")
        assert ToPeer(relay) in gathered(candidates, relay, TLS)


def gathered(candidates: Candidates, told: Candidate, server: str) -> list[object]:
    """Let the browser find `told` while the path is a direct one, whose round trip takes 0.1 s."""
    return list(candidates.gathered(told, server, report("host"), 0.1))


def noted(outputs: Sequence[object]) -> list[Entry]:
    return [output for output in outputs if isinstance(output, Entry)]


class TestOneOfOurs:
    def test_that_failed_is_noted_with_its_server_and_counted(self) -> None:
        candidates = Candidates(offered())
        (failed,) = noted(candidates.gathering_failed(UDP, 401, "Unauthorized", "192.0.2.1:5000"))
        assert (failed.event, failed.data()["url"], failed.data()["code"]) == ("candidate-error", UDP, 401)
        assert candidates.gathering.found_nothing
        assert [problem.kind for problem in candidates.gathering.problems()] == ["credentials-refused"]

    def test_is_counted_also_while_it_waits(self) -> None:
        candidates = TestWhatWaited.gathering()
        before = candidates.gathering.candidates
        held = gathered(candidates, candidate("relay"), UDP)
        assert [entry.event for entry in noted(held)] == ["candidate-local"]
        assert candidates.gathering.candidates == before + 1

    def test_that_is_the_last_is_followed_by_the_end_at_once(self) -> None:
        outputs = Candidates(offered()).gathering_ended()
        assert outputs[-1] == ToPeer(Candidate("", None, 0, "u"))
        assert noted(outputs)[0].data()["end"] is True

    def test_by_which_others_can_reach_us_is_of_the_last_generation(self) -> None:
        candidates = Candidates(offered())
        gathered(candidates, candidate("srflx", "203.0.113.1", fragment="u"), STUN)
        gathered(candidates, candidate("srflx", "203.0.113.2", fragment="u2"), STUN)
        assert set(candidates.reached) == {"203.0.113.2"}


class TestOneOfTheirs:
    @pytest.mark.parametrize(
        "text", ["candidate:1 1 udp", "candidate:x", "candidate:1 1 udp 1 192.0.2.1 port typ host"]
    )
    def test_that_is_garbled_is_noted_and_takes_nothing_with_it(self, text: str) -> None:
        candidates = Candidates(offered())
        outputs = candidates.heard(Candidate(text, "0", 0, "r"))
        assert "problem" in noted(outputs)[0].data()
        assert not candidates.share_address

    def test_is_kept_until_its_description_is_there(self) -> None:
        candidates = Candidates(offered())
        early = candidate("host", fragment="r")
        assert not any(isinstance(output, commands.AddIceCandidate) for output in candidates.heard(early))
        (applied,) = candidates.agreed.remote_description(Description("answer", sdp("r"), 1))
        assert isinstance(applied, commands.SetRemoteDescription)
        assert f"a={early.candidate}\r\n" in applied.description.sdp

    @pytest.mark.parametrize("in_description", [False, True])
    def test_under_our_own_public_address_is_on_our_network(self, *, in_description: bool) -> None:
        candidates = Candidates(offered())
        gathered(candidates, candidate("srflx", "203.0.113.1"), STUN)
        assert not candidates.share_address
        theirs = candidate("srflx", "203.0.113.1", 4000, fragment="r")
        if in_description:
            candidates.heard_in(f"{sdp('r')}a={theirs.candidate}\r\n")
        else:
            candidates.heard(theirs)
        assert candidates.share_address

    def test_counts_for_a_direct_path_in_its_own_generation_alone(self) -> None:
        """The other side's network may be another one since it restarted."""
        candidates = Candidates(offered())
        gathered(candidates, candidate("srflx", "203.0.113.1"), STUN)
        candidates.heard(candidate("srflx", "203.0.113.2", fragment="r"))
        used = report("relay", "srflx", "udp")
        used = replace(used, local=replace(used.local, username_fragment="u"))
        assert not candidates.may_be_direct(used), "its description is not there yet"
        candidates.agreed.remote_description(Description("answer", sdp("r"), 1))
        assert candidates.may_be_direct(used)
