"""What is given to the browser to send, and is not sent."""

from dataclasses import dataclass, field
from typing import Any

from pyapp.core import events
from pyapp.core.path.facts import Output
from pyapp.core.path.observation import STATS_EVERY
from pyapp.core.path.sending import STILL_FOR, Sending
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.view.console import present
from tests.unit.pyapp.fakes import stats_of
from tests.unit.pyapp.parts import Around
from tests.unit.pyapp.sessions import connected


def sent(frames: int = 0, packets: int = 0) -> dict[str, dict[str, Any]]:
    """Return the entries of `getStats()` about what was sent so far."""
    return {
        "video": {"type": "outbound-rtp", "kind": "video", "framesEncoded": frames, "packetsSent": 7},
        "audio": {"type": "outbound-rtp", "kind": "audio", "packetsSent": packets},
        "received": {"type": "inbound-rtp", "kind": "video", "framesDecoded": 99},
    }


@dataclass
class Path:
    is_suspect: bool = False


@dataclass
class Browser:
    """It is asked for its statistics every second."""

    path: Path = field(default_factory=Path)
    outside: Around = field(default_factory=Around)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.sending = Sending(self.path, self.outside)

    def passes(self, seconds: float, *, frames: int = 0, packets: int = 0) -> list[Output]:
        """Let nothing more be sent for so long, and return what came of it."""
        outputs: list[Output] = []
        until = self.now + seconds
        while self.now < until:
            self.now += 1.0
            outputs += self.sending.measure(sent(frames, packets), self.now)
        return outputs


def test_a_camera_that_is_sent_is_no_matter() -> None:
    browser = Browser()
    browser.outside.sent = {"video": 1}
    for frames in range(0, 200, 20):
        assert browser.passes(1.0, frames=frames) == []
    assert not browser.sending.unsent


def test_a_camera_of_which_nothing_is_sent_is_told_once_until_it_is() -> None:
    browser = Browser()
    browser.outside.sent = {"video": 1}
    browser.passes(1.0, frames=4)
    browser.outside.sent = {"video": 2}  # another camera, of which nothing is encoded
    assert browser.passes(STILL_FOR, frames=4) == []
    (note,) = browser.passes(20.0, frames=4)
    assert isinstance(note, Entry)
    assert note == entries.NotSent("video", 3.0)
    assert browser.sending.unsent == {"video"}
    browser.passes(1.0, frames=5)
    assert not browser.sending.unsent


def test_what_is_taken_back_is_not_missed() -> None:
    browser = Browser()
    browser.outside.sent = {"video": 1}
    browser.passes(20.0)
    assert browser.sending.unsent
    browser.outside.sent = {}
    assert not browser.sending.unsent
    browser.outside.sent = {"video": 2}
    assert not browser.sending.unsent, "another camera has its own time"


def test_sound_is_counted_in_packets() -> None:
    browser = Browser()
    browser.outside.sent = {"audio": 1, "video": 2}
    for frames in range(20):
        browser.passes(1.0, frames=frames, packets=7)
    assert browser.sending.unsent == {"audio"}


def test_nothing_is_expected_of_a_path_that_does_not_work() -> None:
    browser = Browser()
    browser.outside.sent = {"video": 1}
    browser.path.is_suspect = True
    assert browser.passes(10.0) == []
    browser.path.is_suspect = False
    assert browser.passes(STILL_FOR - 1.0) == []
    assert browser.passes(1.0)


def test_nothing_is_expected_before_it_was_negotiated() -> None:
    sending = Sending(Path(), Around(sent={"video": 1}))
    for now in range(10):
        assert sending.measure({}, float(now)) == []


def test_the_person_is_told() -> None:
    core = connected()

    def passes(seconds: float) -> str:
        until = core.now + seconds
        while core.now < until:
            core.now += STATS_EVERY
            core.do(events.StatsSampled(stats_of(("l1", "r1")) | sent()))
        return present(core.session).media.note

    core.do(events.MediaToggled("camera"), events.MediaStarted(1, "camera"))
    assert passes(2.0) == ""
    assert passes(6.0).startswith("The other side does not see you: this browser can send nothing of this camera.")
    assert [data["kind"] for event, data in core.journal if event == "not-sent"] == ["video"]
    core.do(events.MediaMuted(1, "camera", muted=True))
    assert "paused" in passes(10.0), "what the system has muted may stand still"
    assert "see you" not in passes(2.0)
    core.do(events.MediaToggled("screen"), events.MediaStarted(2, "screen"), events.MediaStopped(1, "camera"))
    assert passes(8.0) == "", "of a screen on which nothing moves nothing may be sent"
