"""`/sessions/ID`: a session that lasted a day, what the list says of it, and what its exports are."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.bench.day import HOURS, NAME, PEOPLE, record_day
from tests.browser.conftest import ROOT, OpenPage, StartConsole
from tests.unit.backend.journal.formats import read_rtcstats

DRAWN = """([place, hours]) => {
  const chart = document.querySelectorAll("#charts .charts")[place].querySelector(".chart-plot");
  const canvas = chart.querySelector("canvas");
  const [over, whole] = [chart.querySelector(".u-over"), canvas].map((one) => one.getBoundingClientRect());
  const scale = canvas.width / whole.width;
  const left = Math.round((over.left - whole.left) * scale);
  const [width, height] = [Math.round(over.width * scale), Math.round(over.height * scale)];
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  const wanted = context.fillStyle.match(/[0-9a-f]{2}/g).map((one) => parseInt(one, 16));
  const pixels = context.getImageData(left, 0, width, height).data;
  const found = Array(hours).fill(0);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const at = 4 * (y * width + x);
      if (pixels[at + 3] > 100 && wanted.every((value, part) => Math.abs(value - pixels[at + part]) < 24)) {
        found[Math.floor((x * hours) / width)]++;
        break;
      }
    }
  }
  return found;
}"""
"""In how many columns of each hour the line of a page's first chart is drawn."""


@pytest.fixture
def of_a_day(start_console: StartConsole, open_page: OpenPage, tmp_path: Path) -> Page:
    """Return an operator's page at the list, in which one session stands that lasted a day."""
    (journal := tmp_path / "journal-0").mkdir()
    record_day(journal, 3.0)  # so many samples that they are thinned
    console = start_console(access="")
    page = open_page("about:blank", wait_for=None).page
    page.goto(f"{console.address}sessions{console.operator_fragment}")
    return page


def test_a_session_of_a_day_opens_with_all_its_hours(of_a_day: Page) -> None:
    of_a_day.get_by_role("link", name=NAME).click()
    account = of_a_day.locator("#account")
    expect(account.locator("[data-rule=connected-relay]")).to_have_text(re.compile("Connected after 0.6 s through"))
    expect(account.locator("[data-rule=outage]")).to_have_count(HOURS)
    expect(of_a_day.locator("#charts h3")).to_have_text(list(PEOPLE))
    expect(of_a_day.locator("#charts .chart-plot canvas")).to_have_count(7 * len(PEOPLE))
    expect(of_a_day.locator("main")).to_have_attribute("aria-busy", "false")
    of_a_day.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    for place in range(len(PEOPLE)):
        columns = of_a_day.evaluate(DRAWN, [place, HOURS])
        assert min(columns) >= max(columns) // 2, f"{PEOPLE[place]} hour by hour: {columns}"
    times = [_read(of_a_day, place, key) for key in ("Home", "End") for place in range(len(PEOPLE))]
    assert times[0] == times[1], "both ends begin at one time on the axis"
    assert times[2] == times[3]


def _read(page: Page, place: int, key: str) -> str:
    """Return the time of the first or the last sample, to the minute, as the keyboard reads it."""
    board = page.locator("#charts .charts").nth(place)
    board.press(key)
    said = board.locator("[role=status]")
    expect(said).to_have_text(re.compile(r"^\d\d:\d\d"))
    return (said.text_content() or "")[:5]


def test_the_list_says_how_soon_it_had_its_best_path(of_a_day: Page) -> None:
    row = of_a_day.locator("#sessions tr")
    titles = of_a_day.locator("thead th").all_text_contents()
    for title, text in (("Connected in", "0.6 s"), ("Best path in", "4.2 s"), ("Outages", "24, longest 1.6 s")):
        expect(row.locator("td").nth(titles.index(title))).to_have_text(text)


def _read_jsonl(text: str) -> None:
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines].count("recovered") == 2
    assert {"suspect", "pair", "server-joined", "sample"} <= {line["event"] for line in lines}
    assert len({line["participant"] for line in lines}) == 2


def _read_rtcstats(text: str) -> None:
    dump = read_rtcstats(text)
    assert len({connection for _, connection, _, _ in dump.calls} - {None}) == 2
    assert len(dump.of("recovered")) == 2, "the outage is in it"
    reports: list[dict[str, Any]] = [values[0] for values in dump.of("getStats")]
    assert any(one.get("currentRoundTripTime") is not None for report in reports for one in report.values())


def _read_internals(text: str) -> None:
    dump = json.loads(text)
    assert dump.keys() == {"PeerConnections", "getUserMedia", "UserAgent"}
    assert len(dump["PeerConnections"]) == 2
    for connection in dump["PeerConnections"].values():
        assert "recovered" in {one["type"] for one in connection["updateLog"]}
        [series, *_] = [one for name, one in connection["stats"].items() if name.endswith("-currentRoundTripTime")]
        assert all(isinstance(value, float | int) for value in json.loads(series["values"]))


@pytest.mark.parametrize(
    ("form", "extension", "read"),
    [
        ("jsonl", "jsonl", _read_jsonl),
        ("rtcstats", "txt", _read_rtcstats),
        ("webrtc-internals", "json", _read_internals),
    ],
)
def test_what_the_page_saves_is_read_back(
    start_console: StartConsole,
    open_page: OpenPage,
    tmp_path: Path,
    *,
    form: str,
    extension: str,
    read: Callable[[str], None],
) -> None:
    """A session of the lab, with one outage that both ends noticed."""
    (journal := tmp_path / "journal-0").mkdir()
    recorded = ROOT / "tests/unit/backend/journal/recorded/turn-killed.jsonl"
    (journal / "calm-otter.jsonl").write_bytes(recorded.read_bytes())
    console = start_console(access="")
    page = open_page("about:blank", wait_for=None).page
    page.goto(f"{console.address}sessions{console.operator_fragment}")
    page.get_by_role("link", name="calm-otter").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name=form, exact=True).click()
    assert saving.value.suggested_filename == f"session-1.{extension}"
    read(Path(saving.value.path()).read_text(encoding="utf-8"))
