"""A long text and a short one behind it, on a line that loses packets: both are there soon, and in order."""

from __future__ import annotations

import contextlib
import secrets
from statistics import median
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from pyapp.protocol.channel import MAX_TEXT_BYTES
from tests.lab import kinds, servers
from tests.lab.browser import Fleet, hang_up
from tests.lab.delay import Delay
from tests.lab.sites import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.lab.browser import End
    from tests.lab.lab import Lab

PASTES = 9
LONG = "a line of a pasted log, 50 bytes with its newline\n" * 600
"""30 kB."""

PATIENCE = 60.0
"""Seconds for one to come: more than any loss explains."""

_SEND = """([long, short]) => {
  const field = document.getElementById("message");
  const at = performance.timeOrigin + performance.now();
  for (const text of [long, short]) {
    field.value = text;
    field.form.requestSubmit();
  }
  return [at, performance.timeOrigin + performance.now()];
}"""

_SHOWN = """([text, patience]) => new Promise((resolve) => {
  const messages = document.getElementById("messages");
  const now = () => performance.timeOrigin + performance.now();
  const look = () => {
    const texts = [...messages.children].slice(-2).map(({ textContent }) => textContent);
    if (!texts.at(-1)?.startsWith(text)) return;
    observer.disconnect();
    resolve([now(), texts[0].length]);
  };
  const observer = new MutationObserver(look);
  observer.observe(messages, { childList: true });
  setTimeout(() => resolve(null), patience * 1000);
  look();
})"""


@pytest.fixture(scope="module")
def ends(lab: Lab, config: Path, playwright: Playwright) -> Iterator[tuple[End, End]]:
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(servers.console(lab, config))
        hosts = []
        for name in ("long-a", "long-b"):
            place = lab.attach(Site(name=name, kind=kinds.PORT_RESTRICTED, delay=Delay()))
            stack.callback(lab.detach, place)
            hosts.append(place.hosts[0])
        fleet = stack.enter_context(Fleet(playwright.chromium, lab))
        first, second = (fleet.end(host, served) for host in hosts)
        for end in (first, second):
            end.page.goto(served.address, wait_until="commit")
            expect(end.page.locator("body")).to_have_attribute("data-state", "ready", timeout=60_000)
            end.begin(f"long-{secrets.token_hex(3)}" if end is first else first.page.input_value("#session"))
        first.connect()
        first.expect_state("waiting")
        second.connect()
        for end in (first, second):
            end.expect_state("connected")
        yield first, second
        hang_up([first, second])


def paste(ends: tuple[End, End], long: str, hello: str) -> tuple[float, float]:
    """Send both; return the seconds until both were shown, and those for which the page of the sender stood still."""
    first, second = ends
    begun, done = first.page.evaluate(_SEND, [long, hello])
    shown = second.page.evaluate(_SHOWN, [hello, PATIENCE])
    assert shown, f"not within {PATIENCE} s"
    at, length = shown
    assert length == len(long)
    return (at - begun) / 1000, (done - begun) / 1000


@pytest.mark.parametrize(("loss", "seconds"), [(0.1, 5.0), (0.2, 10.0)])
def test_30_kb_and_a_message_behind_them_come_through(
    loss: float, seconds: float, lab: Lab, ends: tuple[End, End]
) -> None:
    place = ends[0].host.place
    lab.network.shape(place, Delay(jitter_ms=30, loss=loss))
    taken = [paste(ends, LONG, f"hello {loss} {number}.")[0] for number in range(PASTES)]
    lab.network.shape(place, Delay())
    assert median(taken) <= seconds, taken  # an idle machine takes 0.6 and 1.7 s


def test_the_longest_message_holds_no_page_up(ends: tuple[End, End]) -> None:
    taken = [paste(ends, "x" * MAX_TEXT_BYTES, f"hello after 64 kB {number}.") for number in range(5)]
    seconds, stalled = (median(values) for values in zip(*taken, strict=True))
    # Many times what an idle machine takes, which is 0.1 s and hundredths of one.
    assert seconds < 3.0, taken
    assert stalled < 0.5, taken
