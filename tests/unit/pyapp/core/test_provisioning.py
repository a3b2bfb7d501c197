"""ICE configurations: asked for by number, and each answer taken for what it was asked for."""

from collections.abc import Sequence
from typing import Literal

import pytest

from pyapp.core import commands
from pyapp.core.path.relays import Relays
from pyapp.core.provisioning import (
    LATE,
    LATE_AFTER,
    MARGIN,
    RENEW,
    RETRY,
    RETRY_AFTER,
    RETRY_REFUSED_AFTER,
    TIMERS,
    WITHOUT_AFTER,
    NotProvided,
    Output,
    Provided,
    Provisioning,
)
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.signaling import HeldPlace

PLACE = HeldPlace("demo", "a" * 32, "b" * 32)
SHORT = IceConfiguration((IceServer(("turn:one.example:3478",), "u", "c"),), lifetime=60.0)
OTHER = IceConfiguration((IceServer(("turn:two.example:3478",), "u", "c"),), lifetime=60.0)


def asked(outputs: Sequence[Output]) -> list[int]:
    return [output.number for output in outputs if isinstance(output, commands.FetchIceConfiguration)]


def provided(outputs: Sequence[Output]) -> list[Provided | NotProvided]:
    return [output for output in outputs if isinstance(output, Provided | NotProvided)]


def timer(outputs: Sequence[Output], name: str) -> float:
    return next(output.after for output in outputs if isinstance(output, commands.StartTimer) and output.timer == name)


def provisioned() -> Provisioning:
    result = Provisioning(Relays())
    (number,) = asked(result.begin("demo", 0.0))
    assert provided(result.received(number, SHORT, 0.0)) == [Provided(is_renewal=False)]
    result.place = PLACE
    return result


class TestAPlace:
    def test_is_proven_once_it_is_held(self) -> None:
        provisioning = Provisioning(Relays())
        (first, _) = provisioning.begin("demo", 0.0)
        provisioning.place = PLACE
        (renewal,) = provisioning.renew()
        assert isinstance(first, commands.FetchIceConfiguration)
        assert isinstance(renewal, commands.FetchIceConfiguration)
        assert (first.place, renewal.place) == (None, PLACE)

    def test_is_not_told_in_the_repr(self) -> None:
        assert PLACE.key not in repr(provisioned().renew())


class TestARenewal:
    def test_comes_before_the_credentials_expire(self) -> None:
        provisioning = Provisioning(Relays())
        (number,) = asked(provisioning.begin("demo", 0.0))
        assert timer(provisioning.received(number, SHORT, 0.0), RENEW) == 60.0 * MARGIN

    @pytest.mark.parametrize(
        ("code", "least"), [("invitation-expired", RETRY_REFUSED_AFTER), ("", RETRY_AFTER), ("limit", RETRY_AFTER)]
    )
    def test_is_tried_again_whatever_the_server_said(self, code: str, least: float) -> None:
        provisioning = provisioned()
        for _ in range(3):
            (number,) = asked(provisioning.renew())
            outputs = provisioning.failed(number, code, "no")
            assert provided(outputs) == []
            assert timer(outputs, RETRY) >= least
            (number,) = asked(provisioning.retry())
            assert timer(provisioning.failed(number, code, "no"), RETRY) >= least
        (number,) = asked(provisioning.retry())
        assert provided(provisioning.received(number, SHORT, 99.0)) == [Provided(is_renewal=True)]

    def test_is_asked_for_once_at_a_time(self) -> None:
        provisioning = provisioned()
        assert len(asked(provisioning.renew())) == 1
        assert asked(provisioning.renew()) == []


class TestSpares:
    def test_that_failed_once_are_still_no_renewal(self) -> None:
        provisioning = provisioned()
        (number,) = asked(provisioning.want_spares())
        outputs = provisioning.failed(number, "", "no")
        assert [output.timer for output in outputs if isinstance(output, commands.StartTimer)] == [RETRY]
        (number,) = asked(provisioning.retry())
        outputs = provisioning.received(number, SHORT, 9.0)
        assert provided(outputs) == [Provided(is_renewal=False)]
        assert commands.CancelTimer(RETRY) in outputs
        assert provisioning.retry() == []

    def test_beside_a_renewal_are_each_taken_for_what_they_are(self) -> None:
        provisioning = provisioned()
        (renewal,) = asked(provisioning.renew())
        provisioning.relays.set_aside("turn:one.example:3478")
        (spares,) = asked(provisioning.want_spares())
        assert provided(provisioning.received(spares, OTHER, 1.0)) == [Provided(is_renewal=False)]
        assert provided(provisioning.received(renewal, SHORT, 1.1)) == [Provided(is_renewal=True)]
        assert provisioning.relays.configuration == OTHER, "the older answer knows of no relay that went silent"

    def test_do_not_end_the_wait_for_a_renewal_that_failed(self) -> None:
        provisioning = provisioned()
        (renewal,) = asked(provisioning.renew())
        provisioning.failed(renewal, "", "no")
        (spares,) = asked(provisioning.want_spares())
        assert commands.CancelTimer(RETRY) not in provisioning.received(spares, OTHER, 1.0)
        (again,) = asked(provisioning.retry())
        assert provided(provisioning.received(again, SHORT, 3.0)) == [Provided(is_renewal=True)]


class TestTheFirst:
    def test_that_is_refused_is_the_end(self) -> None:
        provisioning = Provisioning(Relays())
        (number,) = asked(provisioning.begin("demo", 0.0))
        assert provided(provisioning.failed(number, "invitation-expired", "no")) == [
            NotProvided("invitation-expired", "no")
        ]

    def test_is_not_taken_from_what_was_asked_for_another_session(self) -> None:
        provisioning = Provisioning(Relays())
        (other,) = asked(provisioning.prepare("other"))
        (number,) = asked(provisioning.begin("demo", 0.0))
        assert provisioning.received(other, OTHER, 0.1) == []
        assert provided(provisioning.received(number, SHORT, 0.2)) == [Provided(is_renewal=False)]
        assert provisioning.relays.configuration == SHORT


class TestTheEnd:
    def test_asks_for_nothing_more_and_takes_no_late_answer(self) -> None:
        provisioning = provisioned()
        (number,) = asked(provisioning.renew())
        assert provisioning.end() == [commands.CancelTimer(name) for name in TIMERS]
        assert [provisioning.renew(), provisioning.retry(), provisioning.want_spares()] == [[], [], []]
        assert provisioning.received(number, OTHER, 1.0) == []
        assert provisioning.failed(number, "", "no") == []
        provisioning.begin("demo", 2.0)
        assert provisioning.received(number, OTHER, 3.0) == []


class TestALateOne:
    def begun(self, policy: Literal["all", "relay"] = "all") -> tuple[Provisioning, int]:
        provisioning = Provisioning(Relays(policy))
        outputs = provisioning.begin("demo", 0.0)
        assert timer(outputs, LATE) == LATE_AFTER
        (number,) = asked(outputs)
        return provisioning, number

    def test_is_told_to_the_person_and_then_gone_on_without(self) -> None:
        provisioning, number = self.begun()
        outputs = provisioning.due(LATE)
        assert (provisioning.is_late, provisioning.is_configured) == (True, False)
        assert timer(outputs, LATE) == WITHOUT_AFTER - LATE_AFTER
        assert provided(provisioning.due(LATE)) == [Provided(is_renewal=False)]
        assert (provisioning.is_without, provisioning.is_configured) == (True, True)
        assert provided(provisioning.received(number, SHORT, 9.0)) == [Provided(is_renewal=False, is_late=True)]
        assert (provisioning.is_without, provisioning.is_late) == (False, False)

    def test_is_not_gone_on_without_where_there_is_no_other_way(self) -> None:
        provisioning, _ = self.begun("relay")
        provisioning.due(LATE)
        assert provisioning.due(LATE) == []
        assert not provisioning.is_configured

    def test_that_comes_in_time_is_none(self) -> None:
        provisioning, number = self.begun()
        assert commands.CancelTimer(LATE) in provisioning.received(number, SHORT, 1.0)
        assert provisioning.due(LATE) == []

    def test_is_asked_for_again_and_again_but_more_and_more_seldom(self) -> None:
        provisioning, number = self.begun()
        pauses = []
        for _ in range(6):
            pauses.append(timer(provisioning.failed(number, "", "GET /ice: HTTP status 502"), RETRY))
            assert provisioning.problem == "GET /ice: HTTP status 502"
            (number,) = asked(provisioning.due(RETRY))
        assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        provisioning.received(number, SHORT, 1.0)
        assert provisioning.problem == ""
