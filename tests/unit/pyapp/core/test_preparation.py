"""What Connect will need, asked for before it is pressed."""

from collections.abc import Sequence
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.path.connection import CHANNELS
from pyapp.core.path.relays import Relays
from pyapp.core.preparation import PREPARE_AFTER, Preparation, Prepared
from pyapp.core.preparation import TIMER as PREPARE
from pyapp.core.provisioning import Provisioning
from pyapp.core.signaling import link
from pyapp.protocol.signaling import Error, Join
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    FETCH,
    FETCH_OTHER,
    A,
    Closed,
    Core,
    IceConfigured,
    NotConfigured,
    Opened,
    connected,
)


class TestBeforeConnectIsPressed:
    PREPARES = (commands.OpenSignaling(ANY), FETCH)
    JOIN = commands.SendSignaling(Join("demo", A, A))

    @pytest.fixture
    def core(self) -> Core:
        core = Core()
        assert core.do(events.ConnectExpected("demo")) == list(self.PREPARES)
        return core

    def test_everything_is_fetched_so_that_the_click_only_joins(self, core: Core) -> None:
        assert core.do(IceConfigured(CONFIGURATION), Opened()) == []
        assert core.state == "ready"
        assert core.do(events.ConnectRequested("demo")) == [self.JOIN, commands.CreatePeer(CONFIGURATION, CHANNELS)]

    def test_what_is_still_on_its_way_is_not_asked_for_twice(self, core: Core) -> None:
        assert core.do(events.ConnectRequested("demo")) == []
        assert self.JOIN in core.do(Opened())
        assert commands.CreatePeer(CONFIGURATION, CHANNELS) in core.do(IceConfigured(CONFIGURATION))

    def test_what_was_refused_is_asked_for_again(self, core: Core) -> None:
        core.do(NotConfigured("invitation-required", "no"), Closed(1006, ""))
        assert core.state == "ready"
        assert core.do(events.ConnectRequested("demo")) == list(self.PREPARES)
        core.do(NotConfigured("invitation-required", "no"))
        assert core.state == "failed"

    def test_a_configuration_that_is_nearly_over_is_not_used(self, core: Core) -> None:
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.now = 3600 * provisioning.MARGIN
        assert FETCH in core.do(events.ConnectRequested("demo"))

    def test_the_age_of_a_configuration_counts(self, core: Core) -> None:
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.now = 1000.0
        core.do(events.ConnectRequested("demo"))
        assert core.timers[provisioning.RENEW] == 3600 * provisioning.MARGIN - 1000

    def test_a_socket_that_closed_meanwhile_is_replaced(self, core: Core) -> None:
        core.do(Opened(), Error("not-joined", "", ""), Closed(1008, ""))
        assert core.do(events.ConnectRequested("demo")) == [commands.OpenSignaling(ANY)]

    def test_a_socket_that_died_meanwhile_is_replaced_within_a_second(self, core: Core) -> None:
        core.do(Opened())
        core.do(events.ConnectRequested("demo"))
        assert core.timers[link.OPENING] == link.ADOPTED_PATIENCE
        assert commands.OpenSignaling(ANY) in core.do(events.TimerFired(link.OPENING))

    def test_another_name_has_its_own_configuration(self, core: Core) -> None:
        core.do(IceConfigured(CONFIGURATION), Opened())
        outputs = core.do(events.ConnectRequested("other"))
        assert FETCH_OTHER in outputs
        assert commands.SendSignaling(Join("other", A, A)) in outputs

    def test_a_change_of_the_network_asks_anew(self, core: Core) -> None:
        assert core.do(events.NetworkChanged("online", certain=True)) == list(self.PREPARES)

    def test_another_name_is_prepared_for_once_it_is_typed(self, core: Core) -> None:
        core.do(IceConfigured(CONFIGURATION), Opened())
        for name in ("o", "ot", "other"):
            assert core.do(events.SessionEdited(name)) == []
        assert core.timers[PREPARE] == core.now + PREPARE_AFTER
        assert core.do(events.TimerFired(PREPARE)) == [FETCH_OTHER]
        core.do(IceConfigured(CONFIGURATION))
        join = commands.SendSignaling(Join("other", A, A))
        assert core.do(events.ConnectRequested("other")) == [join, commands.CreatePeer(CONFIGURATION, CHANNELS)]

    def test_the_same_name_again_asks_for_nothing(self, core: Core) -> None:
        assert core.do(events.SessionEdited("demo"), events.TimerFired(PREPARE)) == []

    def test_what_was_refused_for_another_name_is_prepared_for_this_one(self, core: Core) -> None:
        core.do(NotConfigured("invitation-required", "no"), Closed(1006, ""))
        assert core.do(events.SessionEdited("demo"), events.TimerFired(PREPARE)) == list(self.PREPARES)

    def test_after_a_session_the_next_name_is_prepared_for(self) -> None:
        core = connected()
        assert core.do(events.SessionEdited("demo")) == []
        core.do(events.HangUpRequested(), events.SessionEdited("demo"))
        assert core.do(events.TimerFired(PREPARE)) == list(self.PREPARES)

    def test_a_name_that_is_typed_just_before_the_click_is_asked_for_once(self, core: Core) -> None:
        core.do(events.SessionEdited("other"))
        assert FETCH_OTHER in core.do(events.ConnectRequested("other"))
        assert core.do(events.TimerFired(PREPARE)) == []

    def test_nothing_is_asked_for_a_name_that_cannot_be(self) -> None:
        assert Core().do(events.ConnectExpected("no/name")) == []

    def test_a_session_that_goes_on_is_left_alone(self) -> None:
        assert connected().do(events.ConnectExpected("demo")) == []


def sockets(outputs: Sequence[object]) -> list[int]:
    return [output.socket for output in outputs if isinstance(output, commands.OpenSignaling)]


def sessions(outputs: Sequence[object]) -> list[str]:
    return [output.session for output in outputs if isinstance(output, commands.FetchIceConfiguration)]


class TestASocketInAdvance:
    @pytest.fixture
    def ahead(self) -> Preparation:
        """Return one whose first socket is being opened."""
        preparation = Preparation(Provisioning(Relays()))
        assert sockets(preparation.prepare("demo")) == [1]
        return preparation

    def test_is_handed_over_once_as_it_is(self, ahead: Preparation) -> None:
        ahead.opened(1)
        assert ahead.take() == Prepared(1, "open")
        assert not ahead.is_there
        assert ahead.take() == Prepared(0, "closed")

    def test_that_closed_is_handed_over_as_closed(self, ahead: Preparation) -> None:
        ahead.opened(1)
        ahead.closed(1)
        assert ahead.take().signaling == "closed"

    def test_hears_nothing_of_the_one_before(self, ahead: Preparation) -> None:
        assert sockets(ahead.again()) == [2]
        ahead.opened(1)
        assert ahead.take() == Prepared(2, "opening")
        ahead.prepare("demo")
        ahead.opened(3)
        ahead.closed(2)
        assert ahead.take() == Prepared(3, "open")

    @pytest.mark.parametrize("is_open", [False, True])
    def test_is_good_for_another_session(self, ahead: Preparation, *, is_open: bool) -> None:
        if is_open:
            ahead.opened(1)
        ahead.edited("other")
        outputs = ahead.due()
        assert (sockets(outputs), sessions(outputs)) == ([], ["other"])
        assert ahead.take().socket == 1

    def test_is_replaced_with_the_next_name_if_it_closed(self, ahead: Preparation) -> None:
        ahead.closed(1)
        ahead.edited("other")
        (opened,) = sockets(ahead.due())
        assert opened > 1
        assert ahead.take() == Prepared(opened, "opening")

    def test_stays_while_what_is_typed_is_no_name(self, ahead: Preparation) -> None:
        ahead.edited("no name")
        assert ahead.due() == []
        assert ahead.session == "demo"
        assert ahead.take() == Prepared(1, "opening")

    def test_is_never_given_a_number_that_was_one(self, ahead: Preparation) -> None:
        ahead.take()
        ahead.sockets = 7  # those of the session that is over
        assert sockets(ahead.prepare("demo")) == [8]

    def test_is_none_where_nothing_was_asked_for(self) -> None:
        preparation = Preparation(Provisioning(Relays()))
        preparation.opened(0)
        assert not preparation.is_there
        assert preparation.again() == []
        assert preparation.due() == []
