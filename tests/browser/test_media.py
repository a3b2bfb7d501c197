"""Camera, microphone and screen, each switched on and off while connected; nothing is asked for before."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, Operator, pair


@pytest.fixture
def console(shared_console: Console) -> Console:
    """Have one server for all these tests."""
    return shared_console


def expect_picture(operator: Operator, *, there: bool = True) -> None:
    video = operator.page.locator("#remote-video")
    if not there:
        expect(video).not_to_be_visible()
        return
    expect(video).to_be_visible()
    operator.page.wait_for_selector("#remote-video")
    expect(video).to_have_js_property("paused", value=False)
    # A first frame has come when the element knows its size.
    expect(video).not_to_have_js_property("videoWidth", value=0)


def expect_pressed(operator: Operator, control: str, *, on: bool) -> None:
    expect(operator.page.locator(control)).to_have_attribute("aria-pressed", "true" if on else "false")


def test_a_session_with_messages_alone_asks_for_nothing(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="quiet")
    first.send("no camera needed")
    second.expect_received(["no camera needed"])
    for operator in (first, second):
        assert operator.page.evaluate("permissionsAsked") == []


def test_camera_on_and_off_and_on_again(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="camera")
    for _ in range(2):
        first.page.locator("#camera").click()
        expect_pressed(first, "#camera", on=True)
        expect_picture(second)
        expect(first.page.locator("#local-video")).to_be_visible()
        first.page.locator("#camera").click()
        expect_pressed(first, "#camera", on=False)
        expect_picture(second, there=False)
        expect(first.page.locator("#local-video")).not_to_be_visible()
    # Switched on twice, and never negotiated for it.
    assert first.page.evaluate("peerConnections[0].getTransceivers().length") == 2
    assert first.page.evaluate("permissionsAsked") == ["getUserMedia", "getUserMedia"]


def test_both_switch_everything_on_at_the_same_moment(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="cameras")
    for control in ("#camera", "#microphone"):
        for operator in (first, second):
            operator.page.locator(control).click(no_wait_after=True)
    for operator in (first, second):
        for control in ("#camera", "#microphone"):
            expect_pressed(operator, control, on=True)
        expect_picture(operator)
    first.send("still here")
    second.expect_received(["still here"])


def test_the_screen_takes_the_place_of_the_camera(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="screen")
    first.page.locator("#camera").click()
    expect_pressed(first, "#camera", on=True)
    first.page.locator("#screen").click()  # nobody waits for the first frame
    expect_pressed(first, "#screen", on=True)
    expect_pressed(first, "#camera", on=False)
    expect_picture(second)
    first.page.locator("#screen").click()
    expect_pressed(first, "#screen", on=False)
    expect_pressed(first, "#camera", on=True)  # as it was before
    expect_picture(second)
    first.page.locator("#camera").click()
    expect_picture(second, there=False)


HELD = """() => {
  window.held = [];
  window.given = [];
  const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (...options) => {
    await new Promise((allow) => held.push(allow));
    const stream = await original(...options);
    given.push(...stream.getTracks());
    return stream;
  };
}"""
"""The browser's prompt, left open until a test calls what is in `held`."""


def test_what_was_asked_for_before_hanging_up_is_stopped_as_soon_as_it_comes(
    console: Console, open_page: OpenPage
) -> None:
    operator = open_page(f"{console.address}?session=prompt")
    operator.page.evaluate(HELD)
    operator.connect()
    operator.expect_state("waiting")
    operator.page.locator("#camera").click()
    operator.expect_that("held.length == 1")
    operator.page.locator("#camera").click()  # no answer comes: the person takes it back
    expect(operator.page.locator("#camera")).to_have_attribute("aria-busy", "false")
    operator.page.locator("#camera").click()
    operator.expect_that("held.length == 2")
    operator.page.locator("#hangup").click()
    operator.expect_state("closed")
    operator.page.locator("#camera").click()
    operator.expect_that("held.length == 3")
    operator.page.evaluate("held.forEach((allow) => allow())")
    expect_pressed(operator, "#camera", on=True)
    operator.expect_that("given.map((track) => track.readyState).sort().join() == 'ended,ended,live'")
    operator.page.locator("#camera").click()
    expect_pressed(operator, "#camera", on=False)
    operator.expect_that("given.every((track) => track.readyState == 'ended')")


def test_media_goes_on_after_the_other_side_reloads(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="media-reload")
    first.page.locator("#camera").click()
    expect_picture(second)
    second.page.reload()
    second.expect_state("connected")
    expect_picture(second)


STRICT = """
addEventListener("DOMContentLoaded", () => document.getElementById("remote-video")?.removeAttribute("autoplay"));
Object.defineProperty(HTMLMediaElement.prototype, "play", {value: ((original) => function (...rest) {
  if (this.id == "remote-video" && !window.mayPlay) {
    return Promise.reject(new DOMException("no gesture", "NotAllowedError"));
  }
  return original.apply(this, rest);
})(HTMLMediaElement.prototype.play)});
"""
"""A browser that makes no sound by itself, until a test sets `mayPlay`."""


def test_the_button_to_play_stands_while_something_shared_does_not_play(console: Console, open_page: OpenPage) -> None:
    reader = open_page("about:blank", wait_for=None)
    reader.page.add_init_script(STRICT)
    reader.page.goto(f"{console.address}?session=play&autoconnect")
    reader.expect_state("waiting")
    writer = open_page(f"{console.address}?session=play&autoconnect", wait_for="connected")
    reader.expect_state("connected")
    reader.expect_that("peerConnections[0].getTransceivers().length == 2")
    play = reader.page.locator("#play")
    expect(reader.page.locator("#stage")).to_have_attribute("data-remote-video", "false")
    expect(play).to_be_hidden()  # over an empty picture it says nothing
    writer.page.locator("#microphone").click()
    expect(play).to_be_visible()
    play.click()
    expect(play).to_be_visible()  # the browser still refuses
    writer.page.locator("#microphone").click()
    expect(play).to_be_hidden()
    writer.page.locator("#microphone").click()
    expect(play).to_be_visible()
    reader.page.evaluate("window.mayPlay = true")
    play.click()
    expect(play).to_be_hidden()
    reader.page.evaluate("document.getElementById('remote-video').pause()")
    expect(play).to_be_visible()
