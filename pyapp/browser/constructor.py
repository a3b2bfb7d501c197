"""Which `RTCPeerConnection` is constructed: the page's own, or that of a frame that may not use camera and microphone.

Where a page may use them, Chromium's ICE binds to each interface of a list, which follows a change of the network after
1.5 s; until then each gathering asks the interface that is gone. A page that may not binds to the default route,
whatever that is at the moment. Chromium asks the frame whose constructor was called, and the permissions policy of a
frame is the page's to choose (W3C Permissions Policy, section 5). Tracks of the page are sent over it all the same.
"""

from typing import Any

from js import navigator, window

from pyapp.browser.ffi import jsobj
from pyapp.protocol.ice import IceConfiguration


class Constructor:
    """Makes `RTCPeerConnection`s; runtime/page/boot.mjs has made the frame, and the first connection."""

    def __init__(self) -> None:
        self._owner: Any = window.webrtc.owner

    def new(self, configuration: IceConfiguration, *, every_interface: bool = False) -> Any:
        """Return one that gathers on the default route, or on `every_interface` if the page may know them."""
        spare = getattr(window.webrtc, "first", None)
        if spare is not None and not every_interface:
            del window.webrtc.first  # or it would be kept alive after it was closed
            spare.setConfiguration(jsobj(configuration.to_rtc_configuration()))
            return spare
        return self.construct(configuration, every_interface=every_interface)

    def construct(self, configuration: IceConfiguration, *, every_interface: bool = False) -> Any:
        """Return a new one, never the spare."""
        owner = window if every_interface else self._owner
        return owner.RTCPeerConnection.new(jsobj(configuration.to_rtc_configuration()))


def is_firefox() -> bool:
    """Return whether the browser's ICE is Mozilla's, and not libwebrtc's as in Chromium and WebKit."""
    return "Firefox/" in str(navigator.userAgent)


def is_chromium() -> bool:
    """Return whether the browser is Chromium, or one that is made of it: runtime/page/boot.mjs decides."""
    return bool(window.webrtc.isChromium)
