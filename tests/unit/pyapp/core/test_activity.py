import pytest

from pyapp.core.activity import is_activity
from pyapp.core.events import (
    ChannelReceived,
    Event,
    MessageSubmitted,
    OfPeer,
    PairChanged,
    PersonActive,
    TimerFired,
    VisibilityChanged,
)
from pyapp.core.path.recovery import BEAT, SILENCE
from pyapp.core.peers import PeerId

PEER = PeerId(1)


@pytest.mark.parametrize(
    "event",
    [
        PersonActive(),
        MessageSubmitted("hello"),
        VisibilityChanged(hidden=True),
        OfPeer(PEER, PairChanged()),
        OfPeer(PEER, ChannelReceived("messages", "{}")),
        OfPeer(PEER, ChannelReceived("standby", "{}")),
    ],
    ids=lambda event: type(getattr(event, "event", event)).__name__,
)
def test_a_person_at_either_end_is_activity(event: Event) -> None:
    assert is_activity(event, shares_media=False)


@pytest.mark.parametrize("event", [OfPeer(PEER, ChannelReceived("heartbeat", "1")), TimerFired(SILENCE)])
def test_what_the_pages_do_by_themselves_is_none(event: Event) -> None:
    assert not is_activity(event, shares_media=True)


@pytest.mark.parametrize("shares_media", [False, True])
def test_a_beat_is_activity_while_media_is_shared(shares_media: bool) -> None:
    assert is_activity(TimerFired(BEAT), shares_media=shares_media) is shares_media
