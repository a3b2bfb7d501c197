"""An attempt on a busy machine: each step takes a second, and none of them is thrown away."""

import pytest

from pyapp.core import commands, events
from pyapp.core.path.ladder import FIRST_DEADLINE
from pyapp.core.path.recovery import ATTEMPT
from pyapp.protocol.peer import Candidate, Description
from tests.unit.pyapp.fakes import sdp
from tests.unit.pyapp.sessions import (
    CANDIDATE,
    DISCONNECTED,
    RESTART,
    Core,
    Said,
    beside_beats,
    connected,
    offer_set,
    sent,
)


def offering() -> Core:
    """Return one that has offered a restart in an outage."""
    core = connected()
    core.now += 3.0
    assert beside_beats(core.do(DISCONNECTED))[-2:] == RESTART
    (offer,) = core.do(events.NegotiationNeeded())
    assert isinstance(offer, commands.SetLocalDescription)
    assert sent(core.do(offer_set("l2", offer.attempt)))
    return core


def wait(core: Core, seconds: float) -> None:
    core.now += seconds
    core.timers[ATTEMPT] -= seconds


def deadline_passes(core: Core) -> list[Said]:
    core.now += core.timers[ATTEMPT]
    assert core.session.place
    core.session.place.link.heard_at = core.now
    return beside_beats(core.do(events.TimerFired(ATTEMPT)))


def answered(core: Core) -> commands.SetRemoteDescription:
    outputs = core.peer_says(Description("answer", sdp("r2"), 2, 1))
    (applied,) = (output for output in outputs if isinstance(output, commands.SetRemoteDescription))
    return applied


def is_another(outputs: list[Said]) -> bool:
    return any(isinstance(output, commands.RestartIce) for output in outputs)


class TestAnOffer:
    def test_that_the_peer_has_is_not_replaced_while_it_is_being_answered(self) -> None:
        core = offering()
        wait(core, 0.3)
        core.peer_says(Candidate(CANDIDATE, "0", 0, "r2"))  # it gathers, and its answer is on the way
        assert not is_another(deadline_passes(core))
        assert answered(core)

    def test_whose_answer_is_being_applied_is_not_replaced(self) -> None:
        core = offering()
        wait(core, FIRST_DEADLINE - 0.05)
        answered(core)
        assert core.timers[ATTEMPT] >= FIRST_DEADLINE
        assert not is_another(deadline_passes(core))

    def test_that_is_never_answered_is_replaced_in_the_end(self) -> None:
        core = offering()
        wait(core, 0.1)
        core.peer_says(Candidate(CANDIDATE, "0", 0, "r2"))
        deadline_passes(core)
        assert is_another(deadline_passes(core))


class TestAnAgreedRestart:
    @pytest.mark.parametrize(
        "step", [events.PairChanged(), Candidate(CANDIDATE, "0", 0, "r2")], ids=["the pair", "a candidate"]
    )
    def test_has_its_time_from_its_last_step(self, step: events.PairChanged | Candidate) -> None:
        core = offering()
        applied = answered(core)
        core.do(events.RemoteDescriptionSet(applied.attempt, applied.description))
        wait(core, 0.5)
        if isinstance(step, Candidate):
            core.peer_says(step)
        else:
            core.do(step)
        assert core.timers[ATTEMPT] >= FIRST_DEADLINE

    @pytest.mark.parametrize(
        "candidate", [Candidate(CANDIDATE, "0", 0, "r1"), Candidate("", None, 0, "r2")], ids=["an older one", "the end"]
    )
    def test_has_no_more_for_what_brings_nothing_to_check(self, candidate: Candidate) -> None:
        core = offering()
        applied = answered(core)
        core.do(events.RemoteDescriptionSet(applied.attempt, applied.description))
        wait(core, 0.3)
        core.timers[ATTEMPT] = 0.1
        core.peer_says(candidate)
        assert core.timers[ATTEMPT] == 0.1
