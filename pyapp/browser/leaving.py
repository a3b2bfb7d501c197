"""Connections that nobody needs any more, but whose relays are still on their way.

A connection that is closed gives back the relays that it knows of, by a refresh to a lifetime of 0 (RFC 8656, section
7.1). If the answer to an Allocate is still on its way, the browser forgets that it asked, and the server holds that
relay for ten minutes, against the quota of its user.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyapp.browser.borrowing import Timer

if TYPE_CHECKING:
    from pyapp.browser.ffi import Listeners

LEAVE_FOR = 2.0
"""Seconds for the answers that are on their way."""


def leave(pc: Any, listeners: "Listeners", call_later: Callable[[float, Callable[[], None]], Timer]) -> None:
    """Close an `RTCPeerConnection` once it has gathered, or after `LEAVE_FOR`.

    From now on nothing is sent or shown over it. `listeners` are its last ones; `call_later` is the event loop's.
    """
    if pc.iceGatheringState != "gathering":
        pc.close()
        return
    for transceiver in pc.getTransceivers():
        transceiver.stop()

    def close() -> None:
        timer.cancel()
        listeners.close()
        pc.close()

    timer = call_later(LEAVE_FOR, close)
    listeners.add(pc, "icegatheringstatechange", lambda _: close())
