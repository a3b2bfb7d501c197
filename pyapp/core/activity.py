"""Which events show that a session is in use, so that its path is watched closely."""

from pyapp.core import events
from pyapp.core.events import Event
from pyapp.core.path.recovery import BEAT


def is_activity(event: Event, *, shares_media: bool) -> bool:
    """Return whether `event` is an action of a person; or a beat, while either side shares media."""
    match event:
        case (
            events.PersonActive()
            | events.MessageSubmitted()
            | events.MediaToggled()
            | events.RestartRequested()
            | events.NetworkChanged()
            | events.VisibilityChanged()
            | events.OfPeer(_, events.PairChanged() | events.ChannelReceived("messages" | "standby"))
        ):
            return True
        case events.TimerFired(timer):
            return shares_media and timer is BEAT
    return False
