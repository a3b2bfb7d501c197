"""The session survives what happens to the path."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path as File

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, pair, program, wait_until
from tests.browser.test_access import LAN

TABLE = "ice_console_test"


class Path:
    """The path between the two browsers: every UDP packet that a browser sends to the other is dropped while it is cut.

    The rules name the addresses of this run's own network (`.ci/isolated`), loopback included, where pages that are
    bound to no interface may find each other, and touch nothing else.
    """

    def cut(self) -> None:
        self._nft(
            f"""
            table inet {TABLE} {{
                chain out {{
                    type filter hook output priority 0
                    ip daddr {{ {LAN}, 127.0.0.0/8 }} meta l4proto udp drop
                    ip6 daddr ::1 meta l4proto udp drop
                }}
            }}
            """
        )

    def mend(self) -> None:
        self._nft(f"add table inet {TABLE}\ndelete table inet {TABLE}\n")

    @staticmethod
    def _nft(rules: str) -> None:
        subprocess.run([program("nft"), "-f", "-"], input=rules, text=True, check=True)


@pytest.fixture
def path() -> Iterator[Path]:
    result = Path()
    yield result
    result.mend()


def test_what_is_written_while_there_is_no_path_arrives_when_there_is_one(
    console: Console, open_page: OpenPage, path: Path
) -> None:
    first, second = pair(console, open_page, session="dark")
    first.send("before")
    second.expect_received(["before"])
    for operator in (first, second):
        expect(operator.page.locator("#quality")).to_contain_text("· direct · LAN ·")
    path.cut()
    for operator in (first, second):
        operator.expect_state("recovering")
        operator.expect_attribute("data-quality", "lost")
        expect(operator.page.locator("#headline")).to_have_text("Reconnecting…")
    first.send("into the dark")
    second.send("out of the dark")
    path.mend()
    for operator in (first, second):
        operator.expect_state("connected")
        operator.expect_attribute("data-quality", re.compile("^(unstable|fair|good)$"))
    second.expect_received(["before", "into the dark"])
    first.expect_received(["out of the dark"])
    for operator in (first, second):
        operator.expect_generation(1)


def test_neither_a_path_nor_a_server_is_no_reason_to_give_up(console: Console, open_page: OpenPage, path: Path) -> None:
    first, second = pair(console, open_page, session="darker")
    console.stop()
    path.cut()
    for operator in (first, second):
        operator.expect_state("recovering")
    first.send("into the dark")
    path.mend()
    console.start()
    for operator in (first, second):
        operator.expect_state("connected")
        operator.expect_problem("WebSocket connection to .* failed|ERR_CONNECTION_REFUSED")
    second.expect_received(["into the dark"])


WATCH_BEATS = """() => {
  globalThis.beats = [];
  for (const scope of [window, ...Array.from(frames)]) {
    const { send } = scope.RTCDataChannel.prototype;
    scope.RTCDataChannel.prototype.send = function (data) {
      if (this.label === "heartbeat") beats.push(Number(data.split(" ")[3]));
      return send.call(this, data);
    };
  }
}"""
"""Keep what each beat sent says of when the next is due, in ms."""


def _wait_for_beats(operator: Operator, condition: str, what: str) -> None:
    wait_until(lambda: bool(operator.page.evaluate(condition)), what)


def _wait_for_slow_beats(*operators: Operator) -> None:
    for operator in operators:
        _wait_for_beats(operator, "beats.at(-1) > 100", "beats are slow")


@pytest.mark.patient
def test_a_quiet_session_beats_slowly_and_quickly_at_the_first_key_and_still_notices(
    start_console: StartConsole, open_page: OpenPage, path: Path, checkout: File
) -> None:
    source = checkout / "pyapp/core/path/silence.py"
    changed, count = re.subn(r"^QUIET_AFTER = .*$", "QUIET_AFTER = 2.0", source.read_text(), flags=re.MULTILINE)
    assert count == 1
    source.write_text(changed)
    console = start_console(root=checkout)
    first, second = pair(console, open_page, session="quiet")
    for operator in (first, second):
        operator.page.evaluate(WATCH_BEATS)
    for sleepy, wakes in ((first, second), (second, first)):
        _wait_for_slow_beats(first, second)
        sleepy.page.evaluate("beats.length = 0")
        wakes.page.keyboard.press("Shift")
        _wait_for_beats(sleepy, "beats.includes(100)", "the other end is quick, too")
    _wait_for_slow_beats(first, second)
    path.cut()
    for operator in (first, second):
        operator.expect_state("recovering")
    path.mend()
    for operator in (first, second):
        operator.expect_state("connected")
    wait_until(lambda: "recovered" in [entry["event"] for entry in console.entries("quiet")], "it told that it is back")
    suspected, *_ = [entry["data"] for entry in console.entries("quiet") if entry["event"] == "suspect"]
    # A page noticed by itself, or the other one's last beat said so, before Chromium did. How soon, `make bench-quiet`
    # measures.
    assert suspected["evidence"] in ("silence", "not-heard")
