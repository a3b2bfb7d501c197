"""The end of an `RTCPeerConnection`: one whose relays are on their way stays open for a moment.

A browser that closes a connection gives back the relays that it knows of, by a refresh to a lifetime of 0 (RFC 8656,
section 7.1). If the answer to an Allocate is still on its way, the browser forgets that it asked, and the server holds
that relay for ten minutes. Over TCP and TLS a relay ends with its connection, so only UDP is waited for.

Chromium also says that it has gathered all once it is connected, whatever is on its way then.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from js import window

from pyapp.browser.ffi import Listeners, OnError

LEAVE_FOR = 2.0
"""Seconds for the answers that are on their way."""


def has_gathered_all(pc: Any) -> bool:
    """Return whether gathering has ended by itself, and not because `pc` was connected: so nothing is on its way."""
    return pc.iceGatheringState == "complete" and pc.iceConnectionState in ("new", "checking", "failed")


class Closing:
    """The connections that are closed a little later, and at once when the page is left."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self._late: dict[int, Callable[[], None]] = {}
        """What closes each that is still open."""
        self._last = 0
        self._page_is_left = False
        self._of_page = Listeners(on_error)
        self._of_page.add(window, "pagehide", lambda _: self._leave_page())
        self._of_page.add(window, "pageshow", lambda _: self._show_page())

    def close_later(self, pc: Any, channels: Iterable[Any]) -> None:
        """Close `pc` once it has gathered all, or after `LEAVE_FOR`: it may gather relays over UDP.

        Until then it carries nothing: its `channels` are closed, and its transceivers stopped.
        """
        if self._page_is_left:
            pc.close()
            return
        for channel in channels:
            channel.close()
        for transceiver in pc.getTransceivers():
            transceiver.stop()
        self._last += 1
        number, listeners = self._last, Listeners(self._on_error)

        def close() -> None:
            del self._late[number]
            timer.cancel()
            listeners.close()
            pc.close()

        timer = asyncio.get_running_loop().call_later(LEAVE_FOR, close)
        self._late[number] = close
        listeners.add(pc, "icegatheringstatechange", lambda _: close() if has_gathered_all(pc) else None)

    def _leave_page(self) -> None:
        # No timer runs any more, and an open connection keeps a page out of the back-forward cache.
        self._page_is_left = True
        for close in tuple(self._late.values()):
            close()

    def _show_page(self) -> None:
        self._page_is_left = False
