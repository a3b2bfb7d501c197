"""Writing and reading messages: input methods, links, copying, times, and what came while nobody looked."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, pair


@pytest.fixture
def console(shared_console: Console) -> Console:
    """Have one server for all these tests."""
    return shared_console


def test_enter_that_ends_a_composition_does_not_send(console: Console, open_page: OpenPage) -> None:
    writer, reader = pair(console, open_page, session="composition")
    page = writer.page
    page.locator("#message").focus()
    method = writer.context.new_cdp_session(page)
    method.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_have_value(re.compile("にほん"))
    expect(page.locator("#sent > *")).to_have_count(0)
    method.send("Input.imeSetComposition", {"text": "日本", "selectionStart": 2, "selectionEnd": 2})
    method.send("Input.insertText", {"text": "日本"})
    expect(page.locator("#message")).to_have_value(re.compile("日本"))
    page.keyboard.press("Enter")
    expect(reader.page.locator("#messages > *")).to_have_text([re.compile("日本")])
    expect(page.locator("#message")).to_have_value("")


def test_the_button_sends_what_is_still_composed_once(console: Console, open_page: OpenPage) -> None:
    writer, reader = pair(console, open_page, session="button")
    writer.page.locator("#message").focus()
    method = writer.context.new_cdp_session(writer.page)
    method.send("Input.imeSetComposition", {"text": "你好", "selectionStart": 2, "selectionEnd": 2})
    writer.page.evaluate("document.getElementById('message-form').requestSubmit()")  # a tap that takes no focus
    reader.expect_received(["你好"])
    expect(writer.page.locator("#message")).to_have_value("")


KEY = """([key, code, composing]) => document.getElementById("message").dispatchEvent(
  new KeyboardEvent("keydown", {key, keyCode: code, isComposing: composing, bubbles: true, cancelable: true}))"""


def test_enter_of_an_input_method_is_known_in_every_browser(console: Console, open_page: OpenPage) -> None:
    writer, reader = pair(console, open_page, session="enter")
    writer.page.locator("#message").fill("漢字")
    assert writer.page.evaluate(KEY, ["Enter", 229, True]), "Firefox and Chromium, while composing"
    assert writer.page.evaluate(KEY, ["Enter", 229, False]), "Safari, at the end of it"
    expect(writer.page.locator("#message")).to_have_value("漢字")
    assert not writer.page.evaluate(KEY, ["Enter", 13, False])
    reader.expect_received(["漢字"])


def test_links_lead_away_and_tell_nothing(console: Console, open_page: OpenPage) -> None:
    writer, reader = pair(console, open_page, session="links")
    text = "see https://example.org/a?b=c, javascript:alert(1) and <b>bold</b>"
    writer.send(text)
    reader.expect_received([text])
    for bubble in (reader.page.locator("#messages > *"), writer.page.locator("#sent > *")):
        link = bubble.locator("a")
        expect(link).to_have_count(1)
        expect(link).to_have_attribute("href", "https://example.org/a?b=c")
        expect(link).to_have_attribute("rel", "noopener noreferrer")
        expect(link).to_have_attribute("target", "_blank")
        expect(bubble.locator("b")).to_have_count(0)


COPIED = """() => {
  const data = new DataTransfer();
  const event = new ClipboardEvent("copy", {clipboardData: data, bubbles: true, cancelable: true});
  getSelection().anchorNode.parentElement.dispatchEvent(event);
  return data.getData("text/plain") || getSelection().toString();
}"""


def test_messages_are_copied_as_they_are_shown(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="copy")
    for writer, reader, text in ((first, second, "one"), (second, first, "two"), (first, second, "three")):
        writer.send(text)
        expect(reader.page.locator("#messages > *").last).to_have_text(text)
    expect(first.page.locator("#sent > [data-status=delivered]")).to_have_count(2)
    select = "([from, to]) => getSelection().setBaseAndExtent(from.firstChild, 0, to.firstChild, 3)"
    one, three = first.page.locator("#sent > *").element_handles()
    first.page.evaluate(select, [one, one])
    assert first.page.evaluate(COPIED) == "one", "within one message, what is selected, and nothing around it"
    first.page.evaluate(select, [three, one])
    assert first.page.evaluate(COPIED) == "one\ntwo\nthree"


def test_each_message_has_its_time(console: Console, open_page: OpenPage) -> None:
    first, second = pair(console, open_page, session="times")
    first.send("when?")
    second.expect_received(["when?"])
    for bubble in (second.page.locator("#messages > *"), first.page.locator("#sent > *")):
        expect(bubble).to_have_attribute("data-time", re.compile(r"\d?\d:\d\d"))
        expect(bubble).to_have_attribute("title", re.compile(r"20\d\d"))
        assert bubble.evaluate("(bubble) => getComputedStyle(bubble, '::after').content").strip('"')


HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_what_comes_while_the_tab_is_hidden_is_counted_in_its_title(console: Console, open_page: OpenPage) -> None:
    writer, reader = pair(console, open_page, session="unread")
    writer.send("read at once")
    reader.expect_received(["read at once"])
    reader.page.evaluate(HIDDEN, arg=True)
    for count in (1, 2):
        writer.send(f"unread {count}")
        expect(reader.page).to_have_title(re.compile(rf"^\({count}\) "))
    reader.page.evaluate(HIDDEN, arg=False)
    expect(reader.page).to_have_title(re.compile(r"^[^(]"))
    writer.send("read at once, too")
    expect(reader.page.locator("#messages > *")).to_have_count(4)
    expect(reader.page).to_have_title(re.compile(r"^[^(]"))
