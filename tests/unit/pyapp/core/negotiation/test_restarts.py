"""When ICE is restarted: one restart after the other."""

from pyapp.core import commands, events
from pyapp.core.negotiation import restarts
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.protocol.peer import Description
from tests.unit.pyapp.core.test_session import RESTART, Core, connected, offer_set
from tests.unit.pyapp.fakes import sdp


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
