"""What a silence means while the path is healthy."""

from pyapp.core import commands
from pyapp.core.diagnostics.journal import Note
from pyapp.core.path.heartbeat import LEAST_PATIENCE
from pyapp.core.path.recovery import SILENCE
from pyapp.core.path.vitals import STALL
from pyapp.protocol.channel import Beat
from tests.unit.pyapp.beating import duo, kinds


class TestTheEvidence:
    def test_of_a_change_that_may_be_none_only_asks(self) -> None:
        both = duo(0.02)
        both.did(both.a, both.a.health.network_changed(both.now, certain=False))
        both.run(2.0)
        assert both.a.suspicions() == []

    def test_of_a_change_that_nobody_answers_to_is_believed_sooner_than_a_silence(self) -> None:
        both = duo()
        both.cut()
        both.did(both.a, both.a.health.network_changed(both.now, certain=False))
        both.run(2.0)
        (at, evidence), *_ = both.a.suspicions()
        assert evidence == "no-echo"
        assert at - 5.05 < LEAST_PATIENCE - 0.1

    def test_of_our_own_stall_is_not_the_other_sides_silence(self) -> None:
        both = duo()
        health = both.a.health
        both.now += 1.0  # a second in which this page did nothing; what came is still in its inbox
        outputs = health.silent(both.now)
        assert [output.text for output in outputs if isinstance(output, Note)] == ["this page stalled"]
        assert kinds(outputs) == []
        assert commands.StartTimer(SILENCE, STALL) in outputs
        health.heard(Beat(60, 50, 0, 100, 0).encode(), both.now + 0.001)
        assert "Suspected" not in kinds(health.silent(both.now + STALL))

    def test_of_a_stall_is_given_the_benefit_of_the_doubt_once(self) -> None:
        both = duo()
        health = both.a.health
        health.silent(both.now + 1.0)
        assert "Suspected" in kinds(health.silent(both.now + 3.0))
