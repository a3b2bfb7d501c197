"""How long the record of a day takes to open: a part of `make bench-journal`, also `python -m tests.bench.opening`.

An operator has the list at `/sessions` open in a real Chromium, and follows the link to a session of 24 hours. The time
is the page's own, from the beginning of the navigation until all charts of both ends are drawn. Each visit has a fresh
profile. The server's share is the time from the request for the session to the first byte of the answer. The benchmark
shares its processor with both, so that a busy machine is slower than an operator's.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Playwright, async_playwright

from backend.settings import Settings
from backend.web.server import Serving, serving
from tests.bench.boot import launched
from tests.bench.day import NAME, PEOPLE, record_day

MOST = 1000.0
"""Milliseconds."""
INTERVALS = (60.0, 2.0)
"""Seconds between samples: while nothing happens, and as if something always did."""

DRAWN = """async () => {
  const main = document.getElementById("main");
  const charts = () => document.querySelectorAll("#charts .chart-plot canvas").length;
  const isShown = () => main.getAttribute("aria-busy") == "false" && charts() == CHARTS;
  await new Promise((resolve) => {
    const look = () => isShown() && resolve();
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
    look();
  });
  // The charts are drawn in the next frame; a task after it finds them on the screen.
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const [asked] = performance
    .getEntriesByType("resource")
    .filter(({ initiatorType, name }) => initiatorType == "fetch" && /sessions.[0-9]+$/.test(name));
  return {
    took: performance.now(),
    server: asked.responseStart - asked.requestStart,
    answered: asked.responseEnd,
    received: asked.encodedBodySize,
  };
}""".replace("CHARTS", str(7 * len(PEOPLE)))


@dataclass(frozen=True)
class Opened:
    """One visit; milliseconds and bytes. `server` is its share of `took`, `answered` when the answer was there."""

    took: float
    server: float
    answered: float
    received: int


async def visit(playwright: Playwright, console: Serving, profile: str) -> Opened:
    """Open the session from the list, in a browser of its own."""
    context = await launched(playwright, profile)
    try:
        page = await context.new_page()
        await page.goto(f"{console.address}sessions")
        await page.get_by_role("link", name=NAME).click()
        await page.wait_for_url("**/sessions/*")
        return Opened(**await page.evaluate(DRAWN))
    finally:
        await context.close()


async def measure(every: float, visits: int) -> float:
    """Print what it takes with a sample every so many seconds, and return the median of it in milliseconds."""
    with tempfile.TemporaryDirectory() as scratch:
        journal = Path(scratch) / "journal"
        journal.mkdir()
        record_day(journal, every)
        settings = Settings(port=0, turn=False, open_to_all=True, journal=journal)
        async with serving(settings) as console, async_playwright() as playwright:
            opened = [await visit(playwright, console, f"{scratch}/{number}") for number in range(visits)]
    took = statistics.median(one.took for one in opened)
    server = statistics.median(one.server for one in opened)
    answered = statistics.median(one.answered for one in opened)
    print(
        f"opening   {took:.0f} ms (at most {MOST:.0f}) with a sample every {every:.0f} s; the worst of {visits}"
        f" {max(one.took for one in opened):.0f}; the server's share {server:.0f} ms ({server / took:.0%}),"
        f" answered after {answered:.0f} ms, {opened[0].received / 1000:.0f} kB"
    )
    return took


def main() -> int:
    """Measure, print, and fail if it takes too long."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.opening", description=__doc__)
    parser.add_argument("--visits", type=int, default=7, help="of each session (default: %(default)s)")
    visits = parser.parse_args().visits
    return 0 if max([asyncio.run(measure(every, visits)) for every in INTERVALS]) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
