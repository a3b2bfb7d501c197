"""What a page does with what the server says of the relays' budget."""

import pytest

from pyapp.core import commands, events
from pyapp.core.path.relaying import NEEDLESS_RELAY
from pyapp.core.path.relays import DIRECT
from pyapp.core.provisioning import RENEW
from pyapp.protocol.signaling import Cost, PeerLeft
from tests.unit.pyapp.core.path.test_recovery import TWO_RELAYS, relayed, suspicious
from tests.unit.pyapp.sessions import FETCH, Core, IceConfigured, Said, connected


def limits(outputs: list[Said]) -> list[commands.LimitVideo]:
    return [output for output in outputs if isinstance(output, commands.LimitVideo)]


def gathered(outputs: list[Said]) -> list[bool]:
    """Return for each configuration whether there are relays in it."""
    return [bool(one.configuration.relay_hosts) for one in outputs if isinstance(one, commands.SetConfiguration)]


def stopped() -> Core:
    core = relayed()
    core.do(Cost("stop", "month", 1.0, 300))
    return core


def test_video_over_a_relay_is_lowered_and_comes_back() -> None:
    core = relayed()
    assert limits(core.do(Cost("warn", "day", 0.7))) == []
    assert limits(core.do(Cost("lower", "day", 0.8, 300))) == [commands.LimitVideo(300_000, 20)]
    assert limits(core.do(Cost("lower", "day", 0.82, 300))) == []
    assert limits(core.do(Cost())) == [commands.LimitVideo(1_500_000, 20)]


def test_a_direct_path_is_not_limited() -> None:
    assert limits(connected().do(Cost("lower", "day", 0.8, 300))) == []


def test_a_direct_path_is_looked_for_once() -> None:
    core = relayed()
    core.do(Cost("direct", "day", 0.9, 300))
    assert core.timers.pop(NEEDLESS_RELAY) <= 1.0
    core.do(Cost("direct", "day", 0.92, 300))
    assert NEEDLESS_RELAY not in core.timers


def test_no_new_relay_is_gathered_but_the_one_in_use_is_kept() -> None:
    core = relayed()
    assert gathered(core.do(Cost("stop", "month", 1.0, 300))) == [False]
    for what in (events.TimerFired(DIRECT), events.TimerFired(NEEDLESS_RELAY), events.RestartRequested()):
        assert commands.RestartIce() not in core.do(what)


def test_the_relay_in_use_is_not_left_for_new_credentials() -> None:
    core = stopped()
    core.do(events.TimerFired(RENEW))
    assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS.without_relays()))


def test_an_outage_then_looks_for_a_direct_path_alone() -> None:
    outputs = suspicious(stopped())
    assert commands.RestartIce() in outputs
    assert not any(gathered(outputs))


def test_relays_are_asked_for_once_there_may_be_some_again() -> None:
    core = stopped()
    assert FETCH in core.do(Cost("direct", "month", 0.9, 300))
    assert gathered(core.do(IceConfigured(TWO_RELAYS))) == [True]


def test_a_direct_path_is_looked_for_as_soon_as_there_may_be_relays_again() -> None:
    core = stopped()
    core.timers.pop(NEEDLESS_RELAY)
    core.do(Cost("direct", "month", 0.9, 300))
    assert NEEDLESS_RELAY not in core.timers, "the relay in use would be lost"
    core.do(IceConfigured(TWO_RELAYS))
    core.timers.pop(NEEDLESS_RELAY)
    assert commands.RestartIce() in core.do(events.TimerFired(NEEDLESS_RELAY))


def test_it_belongs_to_the_session() -> None:
    core = stopped()
    core.do(events.HangUpRequested())
    core.do(events.ConnectRequested("other"))
    assert core.session.call.budget.cost == Cost()


@pytest.mark.parametrize("step", ["", "sell", "stop"])
def test_what_is_told_while_there_is_no_connection_is_kept(step: str) -> None:
    core = connected()
    core.do(PeerLeft("b" * 32), Cost(step, "month", 1.0, 300))
    assert core.session.call.budget.cost.step == step
