"""The machine slept: the runner's clock stood still, and what was true before need not be any more."""

from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.path.recovery import SETTLE
from pyapp.protocol.channel import Beat
from pyapp.protocol.ice import IceServer
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    FETCH,
    Core,
    IceConfigured,
    NotConfigured,
    Opened,
    connected,
    waiting,
)

SHORT, LONG = events.Slept(60.0), events.Slept(8 * 3600.0)


def connected_and_beating() -> Core:
    core = connected()
    core.do(events.ChannelOpened("heartbeat"))
    core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
    return core


@pytest.mark.parametrize("slept", [SHORT, LONG])
def test_is_a_change_of_network_with_a_fresh_configuration(slept: events.Slept) -> None:
    core = connected_and_beating()
    assert core.do(slept) == [FETCH]
    outputs = core.do(events.TimerFired(SETTLE))
    assert commands.OpenSignaling(ANY) in outputs
    assert commands.RestartIce() in outputs


def test_makes_credentials_expire_that_the_runners_clock_takes_for_fresh() -> None:
    core = connected_and_beating()
    core.do(SHORT)
    assert not core.session.relays.have_expired(core.now)
    core.do(LONG)
    assert core.session.relays.have_expired(core.now)
    core.do(IceConfigured(CONFIGURATION))
    assert not core.session.relays.have_expired(core.now)


def test_is_followed_by_a_second_restart_once_there_are_credentials_that_are_good() -> None:
    core = connected_and_beating()
    core.do(LONG, events.TimerFired(SETTLE))
    outputs = core.do(IceConfigured(CONFIGURATION))
    assert [type(output) for output in outputs] == [commands.SetConfiguration, commands.RestartIce]


def test_takes_older_requests_for_dead() -> None:
    core = connected_and_beating()
    core.do(events.TimerFired(provisioning.RENEW))
    core.do(LONG)
    assert len(core.asked) == 2
    late = events.IceConfigurationReceived(core.asked[0], CONFIGURATION)
    assert core.do(late) == []
    assert core.do(IceConfigured(CONFIGURATION)) != []


def test_asks_again_for_the_first_configuration() -> None:
    core = Core()
    core.do(events.ConnectRequested("demo"))
    assert FETCH in core.do(LONG)
    core.do(NotConfigured("", "the network is not there yet"))
    assert core.state == "connecting"
    core.do(events.TimerFired(provisioning.RETRY))
    core.do(IceConfigured(CONFIGURATION))
    assert core.peers


def test_prepares_for_connect_anew() -> None:
    core = Core()
    core.do(events.ConnectExpected("demo"), IceConfigured(CONFIGURATION), Opened())
    assert core.do(LONG) == [commands.OpenSignaling(ANY), FETCH]


def test_makes_what_was_prepared_too_old() -> None:
    known = provisioning.Provisioning(connected().session.relays)
    (asked,) = known.prepare("demo")
    assert isinstance(asked, commands.FetchIceConfiguration)
    known.received(asked.number, CONFIGURATION, 0.0)
    known.slept(3600.0)
    assert commands.FetchIceConfiguration in [type(output) for output in known.begin("demo", 1.0)]


def test_of_a_page_that_waits_reaches_the_server_anew() -> None:
    core = waiting()
    outputs = core.do(LONG)
    assert commands.OpenSignaling(ANY) in outputs
    assert FETCH in outputs


def test_of_a_page_at_rest_is_only_noted() -> None:
    core = Core()
    assert core.do(LONG) == []
    assert core.journal[0] == ("slept", {"seconds": 8 * 3600.0})


def test_leaves_the_journals_times_those_of_the_wall() -> None:
    core = connected_and_beating()
    before = core.session.journal.lines[0].at
    core.now += 1.0
    core.do(LONG)
    core.now += 1.0
    core.do(events.StateChanged("connection", "connected"))
    times = [line.at for line in core.session.journal.lines[:3]]
    assert times[0] - before >= (8 * 3600 + 1) * 1000
    assert times[0] - times[1] == 1000


def test_of_a_configuration_without_credentials_changes_nothing_of_it() -> None:
    core = Core()
    core.do(events.ConnectRequested("demo"))
    fixed = type(CONFIGURATION)((IceServer(("stun:stun.example:3478",)),))
    core.do(IceConfigured(fixed), LONG)
    assert not core.session.relays.have_expired(core.now)
