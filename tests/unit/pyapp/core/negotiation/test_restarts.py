"""When ICE is restarted: one restart after the other."""

from collections.abc import Sequence

import pytest

from pyapp.core import commands, events
from pyapp.core.negotiation import restarts
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.core.path.silence import Healthy
from pyapp.protocol import entries
from pyapp.protocol.peer import Description, RestartWanted
from tests.unit.pyapp.fakes import sdp
from tests.unit.pyapp.parts import Parts
from tests.unit.pyapp.sessions import RESTART, Core, connected, offer_set


class TestASessionThatIsAskedForARestart:
    def restarted(self) -> Core:
        """Return one whose restart was agreed, and is not at work yet."""
        core = connected()
        core.do(events.RestartRequested())
        core.do(events.NegotiationNeeded(), offer_set("l2", 3))
        (apply,) = core.peer_says(Description("answer", sdp("r2"), 2))
        assert isinstance(apply, commands.SetRemoteDescription)
        core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        return core

    def test_restarts_again_once_the_last_restart_is_at_work_at_both_ends(self) -> None:
        """Firefox sends on the generation before the latest one: without a pair of it, its DTLS fails."""
        core = self.restarted()
        assert core.do(events.RestartRequested()) == []
        assert restarts.TIMER in core.timers
        assert core.session.connection is not None
        health = core.session.connection.recovery
        health.vitals.generation = 1
        assert core.do(events.TimerFired(restarts.TIMER)) == []
        health.vitals.peer_generation = 1
        assert core.do(events.TimerFired(restarts.TIMER)) == RESTART
        assert core.do(events.TimerFired(restarts.TIMER)) == []

    def test_does_not_wait_for_ever_to_restart_again(self) -> None:
        core = self.restarted()
        core.now += SETTLES_WITHIN
        assert core.do(events.RestartRequested()) == RESTART

    def test_does_not_restart_twice_for_a_restart_that_came_meanwhile(self) -> None:
        core = self.restarted()
        core.do(events.RestartRequested())
        configure, apply = core.peer_says(Description("offer", sdp("r3"), 1, generation=2))
        assert isinstance(configure, commands.SetConfiguration)
        assert isinstance(apply, commands.SetRemoteDescription)
        answer, *_ = core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        core.do(events.LocalDescriptionSet(answer.attempt, events.SessionDescription("answer", sdp("l3"))))
        core.now += SETTLES_WITHIN
        assert core.do(events.TimerFired(restarts.TIMER)) == []


def begun(outputs: Sequence[object]) -> list[str]:
    return [output.reason for output in outputs if isinstance(output, entries.Restart)]


class TestARestart:
    def settling(self) -> Parts:
        """Return one whose restart was agreed at 1.0 s, and is not at work yet."""
        parts = Parts()
        parts.agree(2)
        parts.restarts.negotiated(1.0)
        return parts

    def test_that_need_not_wait_does_not(self) -> None:
        assert begun(Parts().restarts.want("a reason", 0.5)) == ["a reason"]

    def test_that_can_wait_waits_while_a_beat_is_late(self) -> None:
        """If an outage begins, its first attempt would only replace the offer."""
        parts = Parts()
        assert isinstance(parts.health.state, Healthy)
        parts.health.state.listening.is_doubtful = True
        assert parts.restarts.want("a reason", 0.5) == [commands.StartTimer(restarts.TIMER, restarts.AGAIN_AFTER)]
        parts.health.state.listening.is_doubtful = False
        assert begun(parts.restarts.begin_if_settled(0.7)) == ["a reason"]

    def test_that_is_wanted_twice_is_begun_once_for_the_last_reason(self) -> None:
        parts = self.settling()
        for why in ("one", "two"):
            assert parts.restarts.want(why, 1.5) == [commands.StartTimer(restarts.TIMER, restarts.AGAIN_AFTER)]
        parts.health.vitals.generation = parts.health.vitals.peer_generation = 1
        assert begun(parts.restarts.begin_if_settled(1.7)) == ["two"]
        assert parts.restarts.begin_if_settled(1.9) == []

    @pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (1, 0), (0, 1)])
    def test_waits_for_both_ends(self, ours: int, theirs: int) -> None:
        parts = self.settling()
        parts.health.vitals.generation, parts.health.vitals.peer_generation = ours, theirs
        assert parts.restarts.is_settling(1.5)
        assert not begun(parts.restarts.want("a reason", 1.5))

    def test_waits_for_an_exchange_however_long_that_takes(self) -> None:
        parts = Parts()
        parts.offer(2)
        assert not begun(parts.restarts.want("a reason", 100 * SETTLES_WITHIN))

    def test_that_nobody_wants_is_not_looked_for(self) -> None:
        assert self.settling().restarts.begin_if_settled(1.5) == []

    def test_of_an_attempt_waits_for_nothing_and_replaces_an_offer_that_may_be_lost(self) -> None:
        parts = Parts()
        parts.offer(2)
        outputs = parts.restarts.begin("attempt 1", 1.0, replace_offer=True)
        assert [type(output) for output in outputs] == [
            entries.Restart,
            commands.RestartIce,
            commands.SetLocalDescription,
        ]

    @pytest.mark.parametrize(("relays", "offered_at"), [(True, 1.0), (False, None)])
    def test_may_be_the_first_attempt_of_an_outage_if_it_gathers_what_that_would(
        self, relays: bool, offered_at: float | None
    ) -> None:
        parts = Parts()
        parts.agreed.gathers_relays = relays
        parts.restarts.begin("a reason", 1.0)
        assert parts.health.vitals.offered_at == offered_at
        parts.health.negotiated(1, 1.1)
        assert parts.health.vitals.offered_at is None

    def test_that_is_the_other_sides_to_offer_is_asked_for_and_that_is_remembered(self) -> None:
        parts = Parts(polite=True)
        parts.agreed.shows_picture = lambda: True
        _, asked = parts.restarts.begin("a reason", 1.0)
        assert asked == ToPeer(RestartWanted(0))
        assert parts.restarts.asked_peer
