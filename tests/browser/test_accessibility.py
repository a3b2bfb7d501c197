"""The page in every state, before axe-core: light and dark, on a phone and on a desktop. Reflow and motion, too."""

import json
import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Console, OpenPage, Operator, StartConsole, pair
from tests.browser.test_devices import REFUSE
from tests.browser.test_recovery import Path, path
from tests.browser.test_tabs import another_tab, expect_offer

__all__ = ["path"]

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
PHONE, DESKTOP = (390, 844), (1280, 800)
PICTURES = ROOT / "build/pictures"
"""Where a person may look at what axe-core has seen."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ZOOMED = (640, 400)
"""What 1280 x 800 is at a zoom of 200 %, in CSS pixels."""


MOVING = """document.getAnimations().map((one) => one.animationName || one.transitionProperty)
  .filter((name) => name != "late")"""
"""What moves now; `late` only shows a notice after a while."""


def expect_accessible(operator: Operator, *, picture: str = "") -> None:
    """Let axe-core look at the page as it is, in every scheme and size; and let nothing stand out at the sides.

    With `picture`, keep what it looks like under that name.
    """
    for scheme in SCHEMES:
        operator.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        _expect_no_violation(operator.page)
        if picture:
            _take_pictures(operator.page, f"{picture}-{scheme}")
    _expect_room_and_rest(operator.page)
    if picture:
        taken = [path.read_bytes() for path in PICTURES.glob(f"{picture}-*.png")]
        assert len(set(taken)) == len(taken) == len(SCHEMES) * 2, "light and dark, phone and desktop look different"


def _take_pictures(page: Page, name: str) -> None:
    for size, (width, height) in (("phone", PHONE), ("desktop", DESKTOP)):
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=PICTURES / f"{name}-{size}.png", full_page=True)


def expect_accessible_as_it_is(operator: Operator) -> None:
    """Do the same in the scheme that the browser itself prefers, as it prefers less motion."""
    assert operator.page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    _expect_no_violation(operator.page)
    _expect_room_and_rest(operator.page)


def _expect_no_violation(page: Page) -> None:
    for width, height in (PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": height})
        violations = _violations(page)
        assert not violations, f"{width} x {height}: {json.dumps(violations, indent=1)}"


def _expect_room_and_rest(page: Page) -> None:
    for width, height in (PHONE, DESKTOP, ZOOMED, (320, 256)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"wider than {width} x {height}"
    assert not page.evaluate(MOVING), "motion is reduced"
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


def _violations(page: Page) -> list[dict[str, Any]]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        {"id": one["id"], "impact": one["impact"], "nodes": [(n["html"], n["failureSummary"]) for n in one["nodes"]]}
        for one in found
    ]


def _loading(console: Console, open_page: OpenPage) -> Operator:
    operator = open_page("about:blank", wait_for=None)
    operator.page.route("**/pyodide.asm.wasm", lambda _: None)
    operator.page.goto(f"{console.address}?session=loading", wait_until="domcontentloaded")
    operator.expect_state("loading")
    return operator


def _not_loaded(console: Console, open_page: OpenPage) -> Operator:
    operator = open_page("about:blank", wait_for=None)
    operator.page.route("**/pyodide.asm.wasm", lambda route: route.fulfill(status=404))
    operator.page.goto(f"{console.address}?session=broken")
    expect(operator.page.locator("#reload")).to_be_visible()
    return operator


def _ready(console: Console, open_page: OpenPage) -> Operator:
    return open_page(f"{console.address}?session=ready")


def _name_refused(console: Console, open_page: OpenPage) -> Operator:
    operator = open_page(f"{console.address}?session=ready")
    operator.page.locator("#session").fill("")
    operator.connect()
    expect(operator.page.locator("#session-problem")).to_be_visible()
    return operator


def _waiting(console: Console, open_page: OpenPage) -> Operator:
    operator = open_page(f"{console.address}?session=waiting")
    operator.connect()
    operator.expect_state("waiting")
    return operator


def _connecting(console: Console, open_page: OpenPage) -> Operator:
    operator = open_page("about:blank", wait_for=None)
    operator.page.route_web_socket(re.compile("/ws$"), lambda _: None)  # it opens, and says nothing
    operator.page.goto(f"{console.address}?session=connecting")
    operator.expect_state("ready")
    operator.connect()
    operator.expect_state("connecting")
    return operator


def _connected(console: Console, open_page: OpenPage) -> Operator:
    first, second = pair(console, open_page, session="connected")
    first.send("from this side")
    second.send("from the other side")
    first.expect_received(["from the other side"])
    expect(first.page.locator("#fact-round-trip")).to_be_visible()
    return first


def _with_media(console: Console, open_page: OpenPage) -> Operator:
    first, second = pair(console, open_page, session="media")
    for operator in (first, second):
        operator.page.locator("#camera").click()
        operator.page.locator("#microphone").click()
    expect(first.page.locator("#remote-video")).to_be_visible()
    expect(first.page.locator("#local-video")).to_be_visible()
    return first


def _diagnostics_open(console: Console, open_page: OpenPage) -> Operator:
    operator = _connected(console, open_page)
    operator.page.locator("#quality-more").click()
    expect(operator.page.locator("#charts canvas")).to_have_count(7)
    expect(operator.page.locator("#hops > *").last).to_have_text(re.compile("Other side"))
    expect(operator.page.locator("#pairs")).to_contain_text("in use")
    operator.page.locator("#log summary").first.click()
    return operator


def _devices_open(console: Console, open_page: OpenPage) -> Operator:
    operator = _ready(console, open_page)
    operator.page.locator("#devices").click()
    operator.page.locator("#try-devices").click()
    expect(operator.page.locator("#preview")).to_be_visible()
    return operator


def _with_problems(console: Console, open_page: OpenPage) -> Operator:
    operator = _with_media(console, open_page)
    track = "peerConnections[0].getSenders().find((one) => one.track?.kind == 'video').track"
    operator.page.evaluate(f"{track}.dispatchEvent(new Event('mute'))")
    expect(operator.page.locator("#media-note")).to_be_visible()
    operator.page.evaluate(REFUSE, ["getDisplayMedia", "NotReadableError", ""])
    operator.page.locator("#screen").click()
    expect(operator.page.locator("#media-problem")).to_be_visible()
    return operator


def _closed(console: Console, open_page: OpenPage) -> Operator:
    operator = _connected(console, open_page)
    operator.page.locator("#hangup").click()
    operator.expect_state("closed")
    return operator


@pytest.mark.parametrize(
    "build",
    [
        *(_loading, _ready, _name_refused, _waiting, _connecting),
        *(_connected, _with_media, _with_problems, _devices_open, _diagnostics_open, _closed),
    ],
)
def test_axe_finds_nothing(
    console: Console, open_page: OpenPage, build: Callable[[Console, OpenPage], Operator]
) -> None:
    picture = {"_connected": "quality", "_diagnostics_open": "charts"}.get(build.__name__, "")
    expect_accessible(build(console, open_page), picture=picture)


def test_axe_finds_nothing_when_it_cannot_load(console: Console, open_page: OpenPage) -> None:
    operator = _not_loaded(console, open_page)
    expect_accessible(operator)
    operator.excuse("wasm|WebAssembly|status of 404")


def test_axe_finds_nothing_while_the_path_is_interrupted(console: Console, open_page: OpenPage, path: Path) -> None:
    first, _ = pair(console, open_page, session="interrupted")
    first.page.evaluate(AXE)
    path.cut()
    first.expect_state("recovering")
    first.page.locator("#cause-box summary").click()
    expect_accessible(first)
    first.expect_state("recovering")


def test_axe_finds_nothing_when_it_failed(start_console: StartConsole, open_page: OpenPage) -> None:
    console = start_console(access="")
    operator = open_page(f"{console.address}?session=uninvited")
    operator.connect()
    operator.expect_state("failed")
    operator.expect_problem("401")
    operator.page.locator("#cause-box summary").click()
    expect_accessible(operator)


def test_axe_finds_nothing_in_invite_and_beside_another_tab(start_console: StartConsole, open_page: OpenPage) -> None:
    console = start_console(access="")
    address = f"{console.address}?session=inviting&autoconnect{console.operator_fragment}"
    host = open_page(address, wait_for="waiting")
    host.page.locator("#invite").focus()
    host.page.keyboard.press("Enter")
    expect(host.page.locator("#invite-link")).to_have_value(re.compile("#invite="))
    host.page.locator("#invite-name").focus()
    host.page.keyboard.type("Anna")
    host.page.keyboard.press("Enter")
    revoke = host.page.locator("#invitations li", has_text="Anna").locator("button")
    expect(revoke).to_be_visible()
    expect(host.page.locator("#invite-qr")).to_be_visible()
    expect_accessible(host)
    revoke.focus()
    host.page.keyboard.press("Enter")
    expect(revoke).to_have_text("Revoke now?")
    host.page.keyboard.press("Escape")
    expect(host.page.locator("#invite-panel")).to_be_hidden()
    expect(host.page.locator("#invite")).to_be_focused()
    other = another_tab(host, address)
    expect_offer(other)
    expect_accessible(other)
    other.page.locator("#connect").focus()
    other.page.keyboard.press("Enter")
    other.expect_state("waiting")
    expect_offer(host)
    expect_accessible(host)


def test_on_a_desktop_the_path_does_not_scroll(console: Console, open_page: OpenPage) -> None:
    first, _ = pair(console, open_page, session="path", query="&policy=relay")
    first.page.set_viewport_size({"width": 1280, "height": 800})
    expect(first.page.locator("#fact-server")).to_be_visible()
    first.page.locator("#restart-ice").click()
    first.expect_generation(1)
    panel = first.page.locator("#path")
    assert panel.evaluate("(panel) => panel.scrollHeight <= panel.clientHeight")
    assert panel.evaluate("(panel) => getComputedStyle(panel).overflowY") == "visible"
    for selector in ("#path", "#conversation", "#message", "#diagnostics"):
        box = first.page.locator(selector).bounding_box()
        assert box
        assert box["y"] + box["height"] <= 800, f"{selector} is below the window"


FOCUSED = """() => {
  const {id, tagName} = document.activeElement;
  const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
  return {name: id || tagName, seen: outlineStyle != "none" && parseFloat(outlineWidth) >= 2};
}"""


def test_the_keyboard_sees_where_it_is_and_is_caught_nowhere(console: Console, open_page: OpenPage) -> None:
    operator = _with_media(console, open_page)
    operator.page.locator("#diagnostics > summary").click()
    expect(operator.page.locator("#log > *").first).to_be_visible()
    expect(operator.page.locator("#charts .chart-values").first).to_contain_text(" ms")
    operator.page.locator("#message").focus()
    reached = []
    for _ in range(80):
        operator.page.keyboard.press("Tab")
        focused = operator.page.evaluate(FOCUSED)
        if focused["name"] == "message":
            break
        assert focused["name"] == "BODY" or focused["seen"], f"the focus of {focused['name']} cannot be seen"
        reached.append(focused["name"])
    assert focused["name"] == "message", f"caught in {reached}"
    assert {"save-picture", "full-screen", "camera", "microphone", "screen", "devices", "hangup"} <= set(reached)
    assert "path" not in reached, "what does not scroll needs no focus"
    assert "charts" in reached
    operator.page.locator("#charts").focus()
    said = operator.page.locator("#charts [role=status]")
    for key in ("ArrowLeft", "Home", "End"):
        operator.page.keyboard.press(key)
        expect(said).to_contain_text(re.compile(r"^\d\d:\d\d:\d\d, Round trip \d"))
    operator.page.keyboard.press("Tab")
    expect(said).to_be_empty()
    operator.page.locator("#devices").focus()
    operator.page.keyboard.press("Enter")
    expect(operator.page.locator("#device-settings")).to_be_visible()
    operator.page.keyboard.press("Escape")
    expect(operator.page.locator("#device-settings")).to_be_hidden()
    expect(operator.page.locator("#devices")).to_be_focused()
