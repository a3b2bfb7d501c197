"""Cameras, microphones, speakers and screens: chosen, tried out, unplugged, refused; and the far picture."""

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, TurnServer, pair, program, wait_until
from tests.browser.test_access import LAN
from tests.browser.test_firefox import firefox
from tests.browser.test_media import expect_picture, expect_pressed
from tests.lab.browser import CAMERA_FLAG, FLAGS

__all__ = ["firefox"]

SENT = "(kind) => peerConnections[0].getSenders().map((one) => one.track).find((one) => one?.kind == kind)"
"""The track that is sent."""

FRAMES = "document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames"

DEPTH_CAMERA = "fake_device_1"
"""The second of Chromium's fake cameras: its frames (Y16) are previewed, and WebRTC does not send them."""


@pytest.fixture
def console(shared_console: Console) -> Console:
    """Have one server for all these tests."""
    return shared_console


def choose_other(operator: Operator, kind: str) -> str:
    """Choose the last device of a kind in the dialog, and return its name."""
    field = operator.page.locator(f"#{kind}-device")
    wait_until(lambda: field.locator("option").count() > 2, "the devices are listed")
    name = field.locator("option").last.text_content() or ""
    field.select_option(label=name)
    return name


def test_devices_are_tried_out_before_a_session_and_remembered(console: Console, open_page: OpenPage) -> None:
    operator = open_page(f"{console.address}?session=try")
    page = operator.page
    page.locator("#devices").click()
    expect(page.locator("#preview")).to_be_hidden()
    assert page.evaluate("permissionsAsked") == [], "nothing is asked for before"
    page.locator("#try-devices").click()
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("#preview")).not_to_have_js_property("videoWidth", value=0)
    operator.expect_that("document.getElementById('microphone-level').value > 0")
    camera = choose_other(operator, "camera")
    operator.expect_that(f"document.getElementById('preview').srcObject?.getTracks()[0].label == '{camera}'")
    assert page.evaluate("document.getElementById('preview').matches(':modal *')")
    page.keyboard.press("Escape")
    expect(page.locator("#device-settings")).to_be_hidden()
    expect(page.locator("#devices")).to_be_focused()
    expect(page.locator("#preview")).to_have_js_property("srcObject", None)
    page.reload()
    operator.expect_state("ready")
    page.locator("#devices").click()
    expect(page.locator("#camera-device option:checked")).to_have_text(camera)
    page.locator("#try-devices").click()
    expect(page.locator("#preview")).to_be_visible()
    page.evaluate(UNLIST, arg=camera)
    expect(page.locator("#preview-problem")).to_contain_text(f"The camera “{camera}” was unplugged.")
    expect(page.locator("#preview")).to_be_hidden()


def expect_motion(operator: Operator) -> None:
    """Expect new frames from the other side; that of before stays in its element while there are none."""
    before = operator.page.evaluate(FRAMES)
    operator.expect_that(f"{FRAMES} > {before} + 2")


def test_another_device_is_used_at_once(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="switch")
    for kind in ("camera", "microphone"):
        first.page.locator(f"#{kind}").click()
        expect_pressed(first, f"#{kind}", on=True)
    first.page.locator("#devices").click()  # nobody waits for the first frame
    camera, microphone = choose_other(first, "camera"), choose_other(first, "microphone")
    first.expect_that(f"({SENT})('video')?.label == '{camera}'")
    first.expect_that(f"({SENT})('audio')?.label == '{microphone}'")
    # Both before the browser has answered the first request: Chromium would go on as that one wanted it.
    first.page.evaluate(
        "for (const name of ['echo-cancellation', 'noise-suppression']) document.getElementById(name).click()"
    )
    first.expect_that(
        f"(({{echoCancellation, noiseSuppression}}) => !echoCancellation && !noiseSuppression)"
        f"(({SENT})('audio')?.getSettings() ?? {{echoCancellation: true}})",
    )
    expect_picture(second)
    expect_motion(second)
    for kind in ("camera", "microphone"):
        expect_pressed(first, f"#{kind}", on=True)
    note = first.page.locator("#media-note")
    expect(note).to_be_hidden()
    first.page.locator("#camera-device").select_option(label=DEPTH_CAMERA)
    expect(note).to_contain_text("The other side does not see you")
    first.page.locator("#camera-device").select_option(label=camera)
    expect(note).to_be_hidden()
    expect_motion(second)


def test_a_speaker_is_chosen_where_the_browser_can(console: Console, open_page: OpenPage) -> None:
    operator = open_page(f"{console.address}?session=speaker")
    operator.page.locator("#devices").click()
    operator.page.locator("#try-devices").click()
    expect(operator.page.locator("#speaker-device")).to_be_visible()
    choose_other(operator, "speaker")
    chosen = operator.page.locator("#speaker-device").input_value()
    operator.expect_that(f"document.getElementById('remote-video').sinkId == '{chosen}'")


UNLIST = """(label) => {
  const original = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
  navigator.mediaDevices.enumerateDevices = async () => (await original()).filter((one) => one.label != label);
  navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
}"""

UNPLUG = """(label) => {
  const original = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
  navigator.mediaDevices.enumerateDevices = async () => (await original()).filter((one) => one.label != label);
  const {track} = peerConnections[0].getSenders().find((one) => one.track?.kind == "video");
  track.stop();
  track.dispatchEvent(new Event("ended"));
  navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
}"""


def stop_video_capture() -> None:
    """Kill the process of this test's browser that captures video, as a camera's driver may."""
    parents: dict[int, int] = {}
    captures: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if b"video_capture" in (entry / "cmdline").read_bytes():
                captures.append(int(entry.name))
    for process in captures:
        ancestor = process
        while ancestor not in (os.getpid(), 0):
            ancestor = parents.get(ancestor, 0)
        if ancestor:
            os.kill(process, signal.SIGKILL)


def test_a_device_that_is_unplugged_is_said_and_the_next_is_offered(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="unplug")
    first.page.locator("#camera").click()
    expect_picture(second)
    first.page.locator("#devices").click()
    cameras = first.page.locator("#camera-device option")
    expect(cameras).to_have_count(4)
    first.page.locator("#close-devices").click()
    label = first.page.evaluate(f"({SENT})('video').label")
    first.page.evaluate(UNPLUG, arg=label)
    expect(first.page.locator("#media-problem")).to_have_text(f"The camera “{label}” was unplugged.")
    expect_pressed(first, "#camera", on=False)
    expect_picture(second, there=False)
    expect(cameras).to_have_count(3)
    first.page.locator("#media-offer").click()
    expect_pressed(first, "#camera", on=True)
    expect(first.page.locator("#media-problem")).to_be_hidden()
    expect(first.page.locator("#media-offer")).to_be_hidden()
    expect_picture(second)
    assert first.page.evaluate(f"({SENT})('video').label") != label
    stop_video_capture()
    expect(first.page.locator("#media-problem")).to_contain_text("stopped by itself. Switch it on again")
    expect_pressed(first, "#camera", on=False)
    first.page.locator("#camera").click()
    expect_pressed(first, "#camera", on=True)
    expect(first.page.locator("#media-problem")).to_be_hidden()
    expect_motion(second)


def test_what_the_system_mutes_is_said_at_both_ends(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="mute")
    first.page.locator("#camera").click()
    expect_picture(second)
    first.page.evaluate(f"({SENT})('video').dispatchEvent(new Event('mute'))")
    expect(first.page.locator("#media-note")).to_contain_text("Your camera is paused")
    expect(second.page.locator("#remote-note")).to_have_text("Video is paused by the other side's device.")
    first.page.evaluate(f"({SENT})('video').dispatchEvent(new Event('unmute'))")
    expect(first.page.locator("#media-note")).to_be_hidden()
    expect(second.page.locator("#remote-note")).to_be_hidden()


REFUSE = """([method, name, message]) => {
  navigator.mediaDevices[method] = () => Promise.reject(new DOMException(message, name));
}"""


@pytest.mark.parametrize(
    ("name", "message", "words"),
    [
        ("NotAllowedError", "Permission dismissed", "choose Allow"),
        ("NotAllowedError", "Permission denied by system", "settings of this device"),
        ("NotReadableError", "Could not start video source", "Close that program"),
    ],
)
def test_each_refusal_says_what_to_do(
    console: Console, open_page: OpenPage, name: str, message: str, words: str
) -> None:
    operator = open_page(f"{console.address}?session=refused")
    operator.page.evaluate(REFUSE, ["getUserMedia", name, message])
    operator.page.locator("#camera").click()
    expect(operator.page.locator("#media-problem")).to_contain_text(words)
    expect_pressed(operator, "#camera", on=False)
    operator.page.locator("#devices").click()
    operator.page.locator("#try-devices").click()
    expect(operator.page.locator("#preview-problem")).to_contain_text(words)


def test_a_browser_without_a_camera_and_without_permission(
    console: Console, open_page: OpenPage, browser_type: BrowserType
) -> None:
    browser = browser_type.launch(executable_path=program("chromium"), args=[*FLAGS, f"{CAMERA_FLAG}=device-count=0"])
    operator = open_page(f"{console.address}?session=without", by=browser)
    problem = operator.page.locator("#media-problem")
    operator.page.locator("#camera").click()
    expect(problem).to_have_text("No camera was found on this device. Plug one in, and try again.")
    operator.page.locator("#microphone").click()
    expect(problem).to_have_text("This page may not use the microphone. Allow it beside the address, and try again.")
    for kind in ("camera", "microphone"):
        expect_pressed(operator, f"#{kind}", on=False)
    browser.close()


def test_without_tls_it_says_that_browsers_want_it(start_console: StartConsole, open_page: OpenPage) -> None:
    console = start_console("--host", LAN)
    operator = open_page(f"{console.address}?session=plain")
    assert not operator.page.evaluate("isSecureContext")
    for kind in ("camera", "microphone", "screen"):
        operator.page.locator(f"#{kind}").click()
        expect(operator.page.locator("#media-problem")).to_contain_text(f"allow the {kind} only on pages over https")
    operator.page.locator("#devices").click()
    operator.page.locator("#try-devices").click()
    expect(operator.page.locator("#preview-problem")).to_contain_text("https")


def test_a_screen_is_not_offered_where_it_cannot_be_shared(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    operator.page.add_init_script("delete MediaDevices.prototype.getDisplayMedia; delete MediaDevices.getDisplayMedia")
    operator.page.add_init_script("delete navigator.mediaDevices?.getDisplayMedia")
    operator.page.goto(f"{console.address}?session=phone")
    operator.expect_state("ready")
    expect(operator.page.locator("#screen")).to_be_hidden()
    expect(operator.page.locator("#camera")).to_be_visible()


def test_a_picker_that_is_cancelled_changes_nothing(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="cancel")
    first.page.locator("#camera").click()
    expect_picture(second)
    first.page.evaluate(REFUSE, ["getDisplayMedia", "NotAllowedError", "Permission denied"])
    first.page.locator("#screen").click()
    expect(first.page.locator("#screen")).to_have_attribute("aria-busy", "false")
    expect_pressed(first, "#screen", on=False)
    expect_pressed(first, "#camera", on=True)
    expect(first.page.locator("#media-problem")).to_be_hidden()
    expect_picture(second)


def test_only_a_camera_is_mirrored_and_a_screen_is_sharp(console: Console, open_page: OpenPage) -> None:
    first, _ = pair(console, open_page, session="mirror")
    transform = "getComputedStyle(document.getElementById('local-video')).transform"
    first.page.locator("#camera").click()
    expect(first.page.locator("#local-video")).to_be_visible()
    first.expect_that(f"{transform}.startsWith('matrix(-1,')")
    first.page.locator("#screen").click()
    first.expect_that(f"({SENT})('video')?.contentHint == 'detail'")
    first.expect_that(f"{transform} == 'none'")


LIMIT = "peerConnections[0].getSenders().find((one) => one.track?.kind == 'video')?.getParameters().encodings[0]"


def test_video_over_a_relay_keeps_to_the_set_rate(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    configuration = turn_server.configuration(tmp_path)
    configuration.write_text("relay_video = 300\n" + configuration.read_text())
    console = start_console("--config", str(configuration))
    first, second = pair(console, open_page, session="rate", query="&policy=relay")
    first.page.locator("#camera").click()
    expect_picture(second)
    first.expect_that(f"{LIMIT}?.maxBitrate == 300000")
    assert first.page.evaluate(f"{LIMIT}.maxFramerate") == 20


def test_video_on_a_direct_path_is_limited_by_the_path_alone(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="free")
    first.page.locator("#camera").click()
    expect_picture(second)
    assert first.page.evaluate(f"{LIMIT}.maxBitrate ?? null") is None


REFUSE_FULL_SCREEN = """() => {
  document.getElementById("stage").requestFullscreen = () => Promise.reject(new TypeError("Fullscreen request denied"));
}"""
"""What Firefox says while another window has the keyboard, such as the small one of the picture."""


def test_the_far_picture_goes_full_screen_and_is_kept(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="picture")
    expect(second.page.locator("#save-picture")).to_be_hidden()
    first.page.locator("#camera").click()
    expect_picture(second)
    with second.page.expect_download() as download:
        second.page.locator("#save-picture").click()
    assert re.fullmatch(r"picture [\d-]+T[\d-]+\.png", download.value.suggested_filename)
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    second.page.evaluate(REFUSE_FULL_SCREEN)
    second.page.locator("#full-screen").click()
    expect(second.page.locator("#picture-problem")).to_contain_text("Click into the page, and press the button again.")
    second.page.evaluate("delete document.getElementById('stage').requestFullscreen")
    second.page.locator("#full-screen").click()
    expect(second.page.locator("#picture-problem")).to_be_hidden()
    second.expect_that("document.fullscreenElement?.id == 'stage'")
    expect(second.page.locator("#full-screen")).to_have_attribute("aria-pressed", "true")
    first.page.locator("#camera").click()
    second.expect_that("!document.fullscreenElement")  # and nobody is left in front of nothing


def test_the_far_picture_goes_into_a_window_of_its_own(console: Console, open_page: OpenPage) -> None:
    writer, reader = pair(console, open_page, session="window")
    writer.page.locator("#camera").click()
    expect_picture(reader)
    button = reader.page.locator("#picture-in-picture")
    for pressed in ("true", "false", "true"):
        button.click()
        expect(button).to_have_attribute("aria-pressed", pressed)
        assert reader.page.evaluate("document.pictureInPictureElement?.id == 'remote-video'") == (pressed == "true")
    writer.page.locator("#camera").click()
    expect(button).to_have_attribute("aria-pressed", "false")
    reader.expect_that("!document.pictureInPictureElement")


AWAKE = """
window.locks = [];
WakeLock.prototype.request = ((request) => async function (...rest) {
  const lock = await request.apply(this, rest);
  locks.push(lock);
  return lock;
})(WakeLock.prototype.request);
"""
"""The browser's own locks, for a test to look at."""


def test_the_screen_stays_awake_while_connected_and_visible(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    operator.page.add_init_script(AWAKE)
    operator.page.goto(f"{console.address}?session=awake&autoconnect")
    operator.expect_state("waiting")
    assert operator.page.evaluate("locks.length") == 0
    open_page(f"{console.address}?session=awake&autoconnect", wait_for="connected")
    operator.expect_that("locks.length == 1")
    operator.page.evaluate("locks[0].release().then(() => document.dispatchEvent(new Event('visibilitychange')))")
    operator.expect_that("locks.length == 2")  # the browser let go of it while the page was hidden
    operator.page.locator("#hangup").click()
    operator.expect_that("locks[1].released")


def test_firefox_offers_what_it_has(console: Console, open_page: OpenPage, firefox: Browser) -> None:
    first, second = pair(console, open_page, session="firefox-devices", first_by=firefox)
    for kind in ("camera", "microphone"):
        first.page.locator(f"#{kind}").click()
        expect_pressed(first, f"#{kind}", on=True)
    expect_picture(second)
    second.page.locator("#camera").click()
    expect_picture(first)
    first.page.locator("#devices").click()
    expect(first.page.locator("#preview")).to_be_visible()
    first.page.locator("#echo-cancellation").uncheck()
    expect_pressed(first, "#microphone", on=True)
    first.page.locator("#close-devices").click()
    first.page.locator("#hangup").click()
    first.expect_state("closed")
    for kind in ("camera", "microphone"):
        expect_pressed(first, f"#{kind}", on=False)
    expect(first.page.locator("#local-video")).to_be_hidden()
