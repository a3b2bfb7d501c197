"""Candidates on their way through the page: noted, counted, and some of them held for a moment."""

from pyapp.core import commands, events
from pyapp.core.negotiation import head_start
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.negotiation import Negotiation, ToPeer
from pyapp.protocol.peer import Candidate
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
