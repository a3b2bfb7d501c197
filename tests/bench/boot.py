"""How long the page takes to be ready, against a stock PyScript page and one in plain JavaScript: `make bench-boot`.

All three are visited in turn, again and again, so that a busy machine is unfair to none. `cold` is a fresh profile,
`warm` the second visit, `restart` a new browser process with the old profile, `20 Mbit/s` a cold visit over such a link
with 30 ms. Medians are shown. The main thread's time is what the kernel gave to it, up to `console-ready`: other
work on the machine is not in it.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import BrowserContext, Error, Playwright, async_playwright

from backend.settings import Settings
from backend.web.server import serving

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PAGES = ("console", "stock", "plain")
VISITS = ("cold", "warm", "restart", "20 Mbit/s")
TARGETS = {
    ("cold", "cpu"): 0.32,
    ("warm", "cpu"): 0.30,
    ("restart", "cpu"): 0.30,
    ("cold", "wall"): 0.48,
    ("warm", "wall"): 0.40,
    ("20 Mbit/s", "wall"): 0.55,
}
BYTES = {"cold": 4_600.0, "warm": 50.0}
"""kB."""
FIRST_PAINT = 1.3

MARKS = """
addEventListener("py:progress", ({ detail }) => performance.mark(detail));
addEventListener("py:ready", () => performance.mark("PyScript ready"), { capture: true });
const instantiate = WebAssembly.instantiateStreaming;
WebAssembly.instantiateStreaming = async (...given) => {
  const result = await instantiate(...given);
  if (!performance.getEntriesByName("WebAssembly compiled").length) performance.mark("WebAssembly compiled");
  return result;
};
"""
BEGUN = """async () => {
  const configuration = JSON.parse(document.querySelector('script[type="py"]').getAttribute("config"));
  const { whenDefined } = await import(`/assets/${configuration.runtime.groups.pyscript}/core.js`);
  const { interpreter } = await whenDefined("py");
  const ago = interpreter.runPython("import sitecustomize, time; time.perf_counter() - sitecustomize.BEGUN");
  return performance.now() - ago * 1000;
}"""
"""When Python itself had started and began to import, in the console's page."""
READY = """() => new Promise((resolve) => {
  const seen = () => performance.getEntriesByName("console-ready").length && resolve();
  new PerformanceObserver(seen).observe({ type: "mark", buffered: true });
  seen();
})"""
TIMES = """() => new Promise((resolve) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (paint) resolve({
    marks: Object.fromEntries(performance.getEntriesByType("mark").map(({ name, startTime }) => [name, startTime])),
    paint: paint.startTime,
    downloads: performance
      .getEntriesByType("resource")
      .map(({ name, startTime, responseEnd }) => [name, startTime, responseEnd]),
  });
}).observe({ type: "paint", buffered: true }))"""

PARTS = (
    ("page, style sheet and first paint", "", "paint"),
    ("download of the large files", "asked", "downloaded"),
    ("WebAssembly: download and compile", "wasm asked", "WebAssembly compiled"),
    ("interpreter start", "WebAssembly compiled", "Python runs"),
    ("standard library and Pyodide imports", "Python runs", "Loaded interpreter"),
    ("PyScript, after that", "Loaded interpreter", "PyScript ready"),
    ("our imports", "PyScript ready", "console-imported"),
    ("first render", "console-imported", "console-ready"),
)
"""How the time divides: from one mark to another. The downloads overlap the rest."""


@dataclass(frozen=True)
class Visit:
    """What one visit took: seconds of processor, milliseconds to ready and to the first paint, bytes by file."""

    cpu: float
    wall: float
    paint: float
    received: dict[str, int]
    marks: dict[str, float]


@dataclass
class Stock:
    """Serves the same modules with PyScript's and Pyodide's defaults, and the plain page, brotli and cached."""

    folder: Path
    types: dict[str, str] = field(
        default_factory=lambda: {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
    )

    def prepare(self) -> None:
        """Copy what the pages consist of, and compress it."""
        pyodide, pyscript = ROOT / "node_modules/pyodide", ROOT / "node_modules/@pyscript/core/dist"
        names = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
        files = {f"pyodide/{name}": pyodide / name for name in names}
        files |= {f"pyscript/{path.name}": path for path in pyscript.iterdir() if path.suffix in (".js", ".css")}
        files |= {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "pyapp").rglob("*.py")}
        for folder in ("static", "runtime/page"):
            files |= {f"static/{path.name}": path for path in (ROOT / folder).iterdir()}
        files["plain.js"] = HERE / "plain.js"
        for name, source in files.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        modules = [name for name in files if name.startswith("pyapp/")]
        configuration = {
            "interpreter": "/pyodide/pyodide.mjs",
            "files": {f"/{name}": f"./{name}" for name in modules},
        }
        (self.folder / "pyscript.json").write_text(json.dumps(configuration))
        page = (ROOT / "index.html").read_text().replace('"assets/page/', '"/static/')
        script = '<script type="module" fetchpriority="low" src="/static/boot.mjs"></script>'
        if script not in page:
            raise SystemExit("index.html loads boot.mjs otherwise than this benchmark knows")
        stock = page.replace(script, '<script type="module" src="/pyscript/core.js"></script>')
        stock = stock.replace('<script type="py" config="">', '<script type="py" config="/pyscript.json">')
        plain = page.replace(script, '<script type="module" src="/plain.js"></script>')
        plain = plain.replace('<script type="py" config="">import pyapp.main</script>', "")
        for name, text in (("stock.html", stock), ("plain.html", plain)):
            (self.folder / name).write_text(text)
        every = [str(path) for path in self.folder.rglob("*") if path.is_file()]
        subprocess.run(["node", str(HERE / "compress.mjs"), *every], check=True)

    async def _serve(self, request: web.Request) -> web.FileResponse:
        path = self.folder / request.match_info["name"]
        headers = {"Cache-Control": "no-cache" if path.suffix == ".html" else "max-age=31536000, immutable"}
        if path.suffix in self.types:
            headers["Content-Type"] = self.types[path.suffix]
        return web.FileResponse(path, headers=headers)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port until the end of the block."""
        app = web.Application()
        app.add_routes([web.get("/{name:.+}", self._serve)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()


async def launched(playwright: Playwright, profile: str) -> BrowserContext:
    """Start a browser process of its own with `profile`."""
    chromium = shutil.which("chromium")
    context = await playwright.chromium.launch_persistent_context(profile, executable_path=chromium, args=ARGUMENTS)
    await context.add_init_script(MARKS)
    return context


def main_threads() -> dict[int, float]:
    """Return the processor time, in seconds, of the main thread of each page's process that we started."""
    parents, renderers = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                renderers.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
    times = {}
    for renderer in renderers:
        ancestor = renderer
        while ancestor not in (0, os.getpid()):
            ancestor = parents.get(ancestor, 0)
        if ancestor:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds = Path(f"/proc/{renderer}/task/{renderer}/schedstat").read_text().split()[0]
                times[renderer] = int(nanoseconds) / 1e9
    return times


async def visit(context: BrowserContext, address: str, *, slow: bool = False) -> Visit:
    """Open the page in a new tab, wait until it is ready, and say what that took."""
    page = await context.new_page()
    protocol = await context.new_cdp_session(page)
    await protocol.send("Network.enable")
    names: dict[str, str] = {}
    received: dict[str, int] = {}

    def requested(event: dict[str, Any]) -> None:
        names[event["requestId"]] = event["request"]["url"].split("?")[0].rsplit("/", 1)[-1] or "the page"

    def finished(event: dict[str, Any]) -> None:
        name = names.get(event["requestId"], "other")
        received[name] = received.get(name, 0) + int(event["encodedDataLength"])

    protocol.on("Network.requestWillBeSent", requested)
    protocol.on("Network.loadingFinished", finished)
    if slow:
        rate = 20_000_000 / 8
        link = {"offline": False, "latency": 30, "downloadThroughput": rate, "uploadThroughput": rate}
        await protocol.send("Network.emulateNetworkConditions", link)
    before = main_threads()
    await page.goto(address, wait_until="commit")
    await page.evaluate(READY)
    # The page's process is the one that worked.
    cpu = max(spent - before.get(process, 0.0) for process, spent in main_threads().items())
    times = await page.evaluate(TIMES)
    marks: dict[str, float] = times["marks"] | {"paint": times["paint"]}
    large = [entry for entry in times["downloads"] if entry[0].endswith((".wasm", ".zip", ".marshal"))]
    if large:
        marks["asked"] = min(begin for _, begin, _ in large)
        marks["wasm asked"] = min(begin for name, begin, _ in large if name.endswith(".wasm"))
        marks["downloaded"] = max(end for _, _, end in large)
        if any(name.endswith(".marshal") for name, _, _ in large):
            marks["Python runs"] = await page.evaluate(BEGUN)
    await page.close()
    return Visit(cpu, marks["console-ready"], times["paint"], received, marks)


async def measure(rounds: int) -> dict[tuple[str, str], list[Visit]]:
    """Visit every page in every way, `rounds` times."""
    found: dict[tuple[str, str], list[Visit]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        stock = Stock(Path(scratch) / "stock")
        stock.prepare()
        settings = Settings(port=0, turn=False, open_to_all=True, journal=Path(scratch) / "journal")
        async with serving(settings) as console, stock.serving() as other, async_playwright() as playwright:
            addresses = {"console": console.address, "stock": f"{other}stock.html", "plain": f"{other}plain.html"}
            for number in range(rounds):
                for page in PAGES:
                    profile = f"{scratch}/{page}-{number}"
                    for kinds, place in ((("cold", "warm"), ""), (("restart",), ""), (("20 Mbit/s",), "-slow")):
                        context = await launched(playwright, profile + place)
                        for kind in kinds:
                            try:
                                result = await visit(context, addresses[page], slow=bool(place))
                            except Error as error:
                                error.add_note(f"round {number + 1}: {page}, {kind}")
                                raise
                            found.setdefault((page, kind), []).append(result)
                        await context.close()
                print(f"round {number + 1} of {rounds}", flush=True)
    return found


def _span(marks: list[dict[str, float]], begin: str, end: str) -> str:
    """Return how long it was from one mark to another, and when, as medians; nothing if a page does not set them."""
    starts = [entry.get(begin, None if begin else 0.0) for entry in marks]
    ends = [entry.get(end) for entry in marks]
    spans = [(first, last) for first, last in zip(starts, ends, strict=True) if first is not None and last is not None]
    if not spans:
        return ""
    first, last = (statistics.median(times) for times in zip(*spans, strict=True))
    return f"{last - first:.0f} ({first:.0f}, {last:.0f})"


@dataclass(frozen=True)
class Row:
    """A line of the table: the pages' medians, and what of them (`judged`) may not be more than `limit`."""

    kind: str
    label: str
    medians: tuple[float, ...]
    ratio: float
    judged: float
    limit: float | None

    @property
    def missed(self) -> bool:
        """Whether the console is worse than it should be."""
        return self.limit is not None and self.judged > self.limit

    def __str__(self) -> str:
        medians = " ".join(f"{value:>9.0f}" for value in self.medians)
        limit = "" if self.limit is None else f"{self.limit:g}"
        return f"{self.kind:<10} {self.label:<16} {medians} {self.ratio:>6.2f} {limit:>7}{' MISSED' * self.missed}"


def compare(found: dict[tuple[str, str], list[Visit]]) -> list[Row]:
    """Return the rows of the table: the console against the stock page, and its first paint against the plain one's."""

    def medians(kind: str, value: Callable[[Visit], float]) -> tuple[float, ...]:
        return tuple(statistics.median(value(entry) for entry in found[page, kind]) for page in PAGES)

    rows = []
    for kind in VISITS:
        for label, value, other, limit in (
            ("main thread, ms", lambda entry: entry.cpu * 1000, "stock", TARGETS.get((kind, "cpu"))),
            ("ready, ms", lambda entry: entry.wall, "stock", TARGETS.get((kind, "wall"))),
            ("paint, ms", lambda entry: entry.paint, "plain", FIRST_PAINT),
        ):
            values = medians(kind, value)
            ratio = values[0] / values[PAGES.index(other)]
            rows.append(Row(kind, label, values, ratio, ratio, limit))
        sizes = medians(kind, lambda entry: sum(entry.received.values()) / 1000)
        rows.append(Row(kind, "received, kB", sizes, sizes[0] / sizes[1], sizes[0], BYTES.get(kind)))
    return rows


def report(rows: list[Row], found: dict[tuple[str, str], list[Visit]]) -> str:
    """Return the table, and how the console's bytes and time divide."""
    lines = ["", f"{'visit':<10} {'':<16} {'console':>9} {'stock':>9} {'plain':>9} {'ratio':>6} {'target':>7}"]
    lines += [str(row) for row in rows]
    lines += ["", "Bytes of the console, cold:"]
    for name, count in sorted(found["console", "cold"][-1].received.items(), key=lambda entry: -entry[1]):
        lines.append(f"  {count:>9} {name}")
    lines += ["", f"{'How the time divides, ms (from, until)':<44} {'console':>16} {'stock':>16}"]
    for kind in ("cold", "warm"):
        for label, begin, end in PARTS:
            ours, others = (
                _span([entry.marks for entry in found[page, kind]], begin, end) for page in ("console", "stock")
            )
            lines.append(f"  {kind}: {label:<38} {ours:>16} {others:>16}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; a target that is missed is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    found = asyncio.run(measure(parser.parse_args().rounds))
    rows = compare(found)
    print(report(rows, found))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
