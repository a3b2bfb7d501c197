"""What the page says first, and when that may wait."""

import pytest

from pyapp.core import events
from pyapp.protocol.channel import Beat
from pyapp.view.status import may_be_late
from tests.unit.pyapp.core.path.test_recovery import suspicious
from tests.unit.pyapp.sessions import connected, connecting


class TestAViewMayBeLate:
    def test_while_it_connects(self) -> None:
        assert may_be_late(connecting().session)
        assert not may_be_late(connected().session)

    def test_in_an_outage_until_something_arrives(self) -> None:
        core = connected()
        suspicious(core)
        assert may_be_late(core.session)
        beat = Beat(1, echo=0, held=0, due=100, generation=0)
        core.do(events.ChannelReceived("heartbeat", beat.encode()))
        assert not may_be_late(core.session)

    @pytest.mark.parametrize("event", [events.RestartRequested(), events.NegotiationNeeded()])
    def test_not_for_what_is_negotiated_while_all_is_well(self, event: events.Event | events.PeerEvent) -> None:
        core = connected()
        core.do(event)
        assert not may_be_late(core.session)
