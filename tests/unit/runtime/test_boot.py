"""What `runtime/page/boot.mjs` does in advance agrees with what Python does later."""

import re
from pathlib import Path

from pyapp.protocol.ice import IceConfiguration

BOOT = Path(__file__).parents[3] / "runtime/page/boot.mjs"
FIXED = {"bundlePolicy": "balanced", "rtcpMuxPolicy": "require"}
"""What `setConfiguration()` cannot change, and its defaults (W3C WebRTC 1.0, sections 4.2.1 and 4.4.1.6)."""


def test_the_first_connection_is_made_with_what_cannot_be_set_later() -> None:
    [literal] = re.findall(r"new owner\.RTCPeerConnection\(\{(.*)\}\)", BOOT.read_text())
    made = dict(re.findall(r'(\w+): "([\w-]+)"', literal))
    configuration = IceConfiguration().to_rtc_configuration()
    assert FIXED | made == {name: configuration[name] for name in FIXED}
