"""A check within a session: what it is told, and that it does not meddle with the connection."""

from pyapp.core import commands, events
from tests.unit.pyapp.sessions import Core, connected


def asked(core: Core, session: str = "other") -> commands.AskCheckServers:
    told = core.session.receive(events.CheckRequested(session), 100.0)
    (ask,) = (command for command in told if isinstance(command, commands.AskCheckServers))
    return ask


def test_during_a_session_it_asks_with_our_place_and_knows_the_path() -> None:
    core = connected()
    ask = asked(core)
    assert ask.session == core.session.name
    assert ask.place is not None
    assert ask.place.session == core.session.name
    check = core.session.checking.check
    assert check is not None
    assert check.them is not None
    assert check.them.path == "direct"


def test_its_connections_are_not_the_session_s() -> None:
    core = connected()
    asked(core)
    check, connection = core.session.checking.check, core.session.connection
    assert check is not None
    assert connection is not None
    servers = core.session.relays.configuration
    begun = core.session.receive(events.CheckServersReceived(check.number, servers, {}), 100.1)
    peers = {command.peer for command in begun if isinstance(command, commands.OfPeer)}
    assert peers
    assert all(check.owns(events.OfPeer(peer, events.NegotiationNeeded())) for peer in peers)
    assert not any(connection.owns(peer) for peer in peers)
    for peer in peers:
        failed = events.OfPeer(peer, events.StateChanged("connection", "failed"))
        assert core.session.receive(failed, 100.2) == []
    over = core.session.receive(events.CheckStopRequested(), 100.3)
    assert {command.peer for command in over if isinstance(command, commands.OfPeer)} == peers
    assert core.session.connection is connection
