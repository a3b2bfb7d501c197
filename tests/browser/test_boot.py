"""How the page starts: nothing comes late, a missing module works all the same, and what is said when it cannot."""

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, Request, Route, WebSocket, expect

from tests.browser.conftest import CHROMIUM_ARGS, ROOT, Console, OpenPage, StartConsole, pair, program, wait_until

LATE = "it was fetched late"
RUN = """async (code) => {
  const { runtime } = JSON.parse(document.querySelector('script[type="py"]').getAttribute("config"));
  const { whenDefined } = await import(`/assets/${runtime.groups.pyscript}/core.js`);
  const { interpreter } = await whenDefined("py");
  return interpreter.runPython(code);
}"""
"""Runs Python in the page, and returns what it is worth."""

PROBE = """
import _sre, sys

compiled, prepared = [], []
compile_pattern = _sre.compile

def note_pattern(pattern, *rest):
    caller = sys._getframe(1).f_code.co_filename
    (prepared if caller.endswith("sitecustomize.py") else compiled).append(f"pattern {pattern}")
    return compile_pattern(pattern, *rest)

def note_source(event, given):
    # Syntax trees and "<exec>" are Pyodide's own way to run what JavaScript hands over.
    if event == "compile" and isinstance(given[0], bytes) and given[1] not in ("<exec>", "<unknown>"):
        compiled.append(f"source {given[0].decode()}")

sys.addaudithook(note_source)
_sre.compile = note_pattern
sys.path.remove("/first")
del sys.modules["sitecustomize"]
import sitecustomize
"""
"""Runs before the page's own `sitecustomize`, and notes what Python compiles, below whatever that replaces."""

SETTLED = """async (code) => {
  const { runtime } = JSON.parse(document.querySelector('script[type="py"]').getAttribute("config"));
  const { whenDefined } = await import(`/assets/${runtime.groups.pyscript}/core.js`);
  const { interpreter } = await whenDefined("py");
  interpreter.runPython(code);
  for (let step = 0; step < 10; step++) await null; // microtasks only: no event comes in between
  return interpreter.runPython("' '.join(heard)");
}"""
PROMISES = """
from js import Promise
from pyapp.browser.ffi import jsobj, promise_of, when_settled
heard = []
for method, value in (("resolve", "one"), ("reject", "two")):
    promise = promise_of(Promise, method, jsobj({"name": value}))
    when_settled(promise, lambda it: heard.append(f"+{it.name}"), lambda it: heard.append(f"-{it.name}"), print)
"""

HURRY = """{
  const { setTimeout } = window;
  window.setTimeout = (call, ms, ...rest) => setTimeout(call, ms > 10_000 ? 50 : ms, ...rest);
}"""
"""Has the page's patience end at once."""

NOTICED = """
import json, probe
json.dumps({"compiled": probe.compiled, "prepared": len(probe.prepared)})
"""

NEVER_SEEN = """
import collections, dataclasses, re
collections.namedtuple("New", "new")
re.compile("new")
@dataclasses.dataclass
class New:
    new: int
"""

BOTH_WAYS = """
import dataclasses, json, prepared_dataclasses, sys, types

PLAIN = str | int | float | tuple | dataclasses._DataclassParams | None

ON_DEMAND = ("__annotations_cache__", "__annotate_func__")

def named(value):
    return repr(value) if isinstance(value, PLAIN) else [str(type(value)), getattr(value, "__qualname__", "")]

def consisting(code):
    return [code.co_code.hex(), code.co_names, code.co_varnames, [*map(named, code.co_consts)]]

def described(value):
    "Return all in which an attribute of two equal classes must agree."
    if isinstance(value, types.FunctionType):
        held = {name: cell.cell_contents for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ())}
        wrapped = consisting(held.pop("user_function").__code__) if "user_function" in held else None
        defaults = [named(default) for default in value.__defaults__ or ()], value.__kwdefaults__
        return [value.__qualname__, *consisting(value.__code__), wrapped, described(held), *defaults]
    if isinstance(value, dataclasses.Field):
        return [named(getattr(value, name)) for name in value.__slots__]
    if isinstance(value, dict):
        return {name: named(held) if not isinstance(held, dataclasses.Field) else described(held)
                for name, held in value.items()}
    return named(value)

def differences(key, original):
    module, _, name = key.partition(":")
    prepared = getattr(sys.modules[module], name)
    first, second = (
        {name: described(getattr(made, name)) for name in [*vars(made)] if name not in ON_DEMAND}
        for made in (original, prepared)
    )
    return [f"{key}.{name}" for name in first.keys() | second.keys() if first.get(name) != second.get(name)]

plans = dict(prepared_dataclasses.plans)
prepared_dataclasses.plans.clear()
found, compared = [], 0
for module in sorted({key.partition(":")[0] for key in plans} & sys.modules.keys()):
    spec = sys.modules[module].__spec__
    names = {"__name__": module, "__spec__": spec, "__package__": spec.parent}
    exec(spec.loader.get_code(module), names)
    for key in plans:
        if key.startswith(f"{module}:"):
            found += differences(key, names[key.partition(":")[2]])
            compared += 1
json.dumps([compared, found])
"""
"""Makes the page's dataclasses again, without their plans, and compares them with those that the page uses."""

CLOSE_FIRST = """{
  const { WebSocket } = window;
  let first = true;
  window.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      if (first) this.addEventListener("open", () => this.close());
      first = false;
    }
  };
}"""
"""Has the page's first socket closed, as the server does with one that nobody uses."""


def test_every_feature_works_with_the_trimmed_library(console: Console, open_page: OpenPage) -> None:
    """Any module that comes late is a console error, which fails this and every other test of the page."""
    fetched: list[str] = []

    def note(request: Request) -> None:
        if "/modules-" in request.url:
            fetched.append(request.url)

    operators = [open_page("about:blank", wait_for=None) for _ in range(2)]
    for operator in operators:
        operator.page.on("request", note)
        operator.page.goto(f"{console.address}?session=features&autoconnect")
    first, second = operators
    for operator in operators:
        operator.expect_state("connected")
    first.send("a message")
    second.expect_received(["a message"])
    for kind in ("camera", "microphone", "screen"):
        first.page.locator(f"#{kind}").click()
        expect(first.page.locator(f"#{kind}")).to_have_attribute("aria-pressed", "true")
    first.page.locator("#restart-ice").click()
    second.expect_attribute("data-ice-generation", re.compile("[1-9]"))
    first.page.locator("#diagnostics > summary").click()
    first.page.locator("#copy-diagnostics").click()
    first.page.locator("#hangup").click()
    first.expect_state("closed")
    assert fetched == []


def test_a_module_that_is_missing_is_fetched_and_the_journal_says_so(console: Console, open_page: OpenPage) -> None:
    first, _ = pair(console, open_page, session="late")
    assert first.page.evaluate(RUN, "import colorsys; colorsys.rgb_to_hls(1, 1, 1)[1]") == 1
    wait_until(
        lambda: any(
            LATE in str(entry["data"]) and "colorsys" in str(entry["data"]) for entry in console.entries("late")
        ),
        "the journal names the module",
    )
    expect(first.page.locator("#log")).to_contain_text(LATE)
    first.expect_problem(LATE)


def test_pyscripts_own_python_package_is_not_made(console: Console, open_page: OpenPage) -> None:
    """It would be compiled at every load. Fails if a new PyScript hands it over in another way."""
    operator = open_page(console.address)
    modules = operator.page.evaluate(RUN, "import sys; ' '.join(sys.modules)")
    assert "pyapp.core.session" in modules.split()
    assert not [name for name in modules.split() if name.startswith("pyscript")]


def test_what_the_build_has_compiled_is_not_compiled_again(console: Console, open_page: OpenPage) -> None:
    """`runtime/build/sitecustomize.py` reaches into private places: fails if a new Python compiles in another way."""
    operator = open_page("about:blank", wait_for=None)

    def watch(route: Route) -> None:
        script = route.fetch().text()
        files = {"sitecustomize.py": "import probe", "probe.py": PROBE}
        write = "".join(f"FS.writeFile('/first/{name}', {json.dumps(text)});" for name, text in files.items())
        script = script.replace("async fsInit(FS) {", f"async fsInit(FS) {{ FS.mkdirTree('/first'); {write}")
        script = script.replace("indexURL:", "env: { PYTHONPATH: '/first' }, indexURL:")
        route.fulfill(body=script, content_type="text/javascript")

    operator.page.route("**/interpreter.mjs", watch)
    operator.page.goto(console.address)
    operator.expect_state("ready")
    before = json.loads(operator.page.evaluate(RUN, NOTICED))
    assert before["prepared"] > 10
    # `re` compiles the empty pattern before anything could be put into it.
    assert [it for it in before["compiled"] if it != "pattern "] == ["source import _pyodide_core"]
    after = json.loads(operator.page.evaluate(RUN, NEVER_SEEN + NOTICED))
    noticed = [it.split()[:2] for it in after["compiled"][len(before["compiled"]) :]]
    assert noticed == [["source", "lambda"], ["pattern", "new"], ["source", "def"]], "the probe works"


def test_prepared_dataclasses_are_those_of_the_decorator(console: Console, open_page: OpenPage) -> None:
    compared, differences = json.loads(open_page(console.address).page.evaluate(RUN, BOTH_WAYS))
    assert compared > 250
    assert differences == []


def test_what_follows_a_promise_is_done_in_the_same_turn(console: Console, open_page: OpenPage) -> None:
    """An answer is made before the browser lays the page out, and is not overtaken by events that came later."""
    assert open_page(console.address).page.evaluate(SETTLED, PROMISES) == "+one -two"


def test_the_second_visit_asks_only_for_the_page(console: Console, open_page: OpenPage) -> None:
    operator = open_page(console.address)
    operator.page.reload()
    operator.expect_state("ready")
    sizes = operator.page.evaluate(
        "performance.getEntriesByType('resource').map(({ name, transferSize }) => [name, transferSize])"
    )
    assert len(sizes) > 8
    assert [name for name, size in sizes if size and "/assets/" in name] == []


def test_the_page_comes_with_brotli(console: Console) -> None:
    """The build compressed the very text that the server makes."""
    request = urllib.request.Request(console.address, headers={"Accept-Encoding": "gzip, br"})  # noqa: S310 - ours
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - ours
        assert answer.headers["Content-Encoding"] == "br"


def spoil(how: str) -> Callable[[Route], None]:
    """Return what happens to the request for a part that does not arrive."""

    def handle(route: Route) -> None:
        if how == "missing":
            route.fulfill(status=404, body="gone")
        elif how == "blocked":
            route.abort()
        else:
            route.fulfill(status=200, content_type="text/html", body="<p>Please log in to the hotel's network</p>")

    return handle


PARTS = (
    *("pyodide.asm.wasm", "pyodide.asm.mjs", "library.zip", "console.marshal", "core.js"),
    *("interpreter.mjs", "stats.mjs", "pyodide.mjs"),
)


@pytest.mark.parametrize("how", ["missing", "blocked", "replaced"])
def test_each_part_that_does_not_arrive_is_named(how: str, console: Console, open_page: OpenPage) -> None:
    for part in PARTS:
        operator = open_page("about:blank", wait_for=None)
        operator.page.route(f"**/{part}", spoil(how))
        operator.page.goto(console.address)
        operator.expect_state("failed")
        expect(operator.page.locator("#headline")).to_have_text("The page could not load")
        expect(operator.page.locator("#detail")).to_contain_text("Reload")
        expect(operator.page.locator("#reload")).to_be_visible()
        expect(operator.page.locator("#cause")).to_contain_text(part)
        operator.excuse(".")
        operator.page.close()


@pytest.mark.parametrize("how", ["missing", "blocked", "replaced", "silent"])
def test_the_script_that_starts_the_page_is_named_if_it_does_not_arrive(
    how: str, console: Console, open_page: OpenPage
) -> None:
    """The style sheet says so, after some seconds, which the test does not wait for."""
    page = (operator := open_page("about:blank", wait_for=None)).page
    held: list[Route] = []
    hold = lambda route: held.append(route)  # noqa: E731, PLW0108 - it must be a function
    page.route("**/boot.mjs", hold if how == "silent" else spoil(how))
    page.goto(console.address, wait_until="commit")
    finish = (
        "document.getAnimations().filter(({ animationName }) => animationName === 'late')"
        ".map((animation) => animation.finish()).length"
    )
    wait_until(lambda: page.evaluate(finish) == 1, "the style sheet counts the seconds")
    expect(page.locator(".late").filter(visible=True)).to_have_text(re.compile(r"boot\.mjs.* Reload"))
    for route in held:
        route.abort()
    operator.excuse(".")


def test_what_is_still_missing_is_named_when_nothing_arrives(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    operator.page.add_init_script(HURRY)
    held: list[Route] = []
    operator.page.route("**/pyodide.asm.wasm", lambda route: held.append(route))  # noqa: PLW0108 - it must be a function
    operator.page.goto(console.address, wait_until="domcontentloaded")
    expect(operator.page.locator("#detail")).to_have_text("Still waiting for pyodide.asm.wasm")
    held[0].continue_()
    operator.expect_state("ready")


def test_a_browser_that_refuses_webassembly_is_told(
    console: Console, open_page: OpenPage, playwright: Playwright
) -> None:
    """Chromium has none if its JavaScript may not be compiled; `--noexpose-wasm` takes nothing from it."""
    chromium = playwright.chromium.launch(
        executable_path=program("chromium"), args=[*CHROMIUM_ARGS, "--js-flags=--jitless"]
    )
    try:
        operator = open_page(console.address, wait_for="failed", by=chromium)
        expect(operator.page.locator("#headline")).to_have_text("This browser blocks WebAssembly")
    finally:
        chromium.close()


def test_a_browser_that_refuses_webrtc_is_told(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    operator.page.add_init_script("delete window.RTCPeerConnection")
    operator.page.goto(console.address)
    operator.expect_state("failed")
    expect(operator.page.locator("#headline")).to_have_text("This browser blocks calls")


def test_the_markup_says_what_to_do_without_javascript(console: Console, open_page: OpenPage) -> None:
    """Only the markup: Playwright's way to switch scripts off leaves `<noscript>` unparsed."""
    page = open_page("about:blank", wait_for=None).page.request.get(console.address).text()
    assert re.search("<noscript>.*Switch it on.*</noscript>", page)


def test_progress_is_that_of_the_download(console: Console, open_page: OpenPage) -> None:
    operator = open_page("about:blank", wait_for=None)
    held: list[Route] = []
    operator.page.route("**/pyodide.asm.wasm", lambda route: held.append(route))  # noqa: PLW0108 - it must be a function
    with operator.page.expect_request("**/pyodide.asm.wasm"):
        operator.page.goto(console.address, wait_until="domcontentloaded")
    expect(operator.page.locator("#detail")).to_have_text(re.compile(r"Loading: [01]\.\d of \d\.\d MB"))
    operator.expect_that("(({ value }) => 0 < value && value < 0.5)(document.getElementById('boot-progress'))")
    held[0].continue_()
    operator.expect_state("ready")


def test_a_traceback_names_the_files_and_lines_of_the_sources(console: Console, open_page: OpenPage) -> None:
    operator = open_page(console.address)
    operator.page.evaluate(RUN, "import pyapp.browser.page.lobby as lobby; lobby.ConnectRequested = None")
    operator.connect()
    problem = operator.expect_problem("Traceback")
    file, line = re.findall(r'File "(pyapp/[^"]+)", line (\d+)', problem)[-1]
    assert file == "pyapp/browser/page/lobby.py"
    assert "ConnectRequested(" in (ROOT / file).read_text().splitlines()[int(line) - 1]


def _frames_into(sent: list[str | bytes]) -> Callable[[WebSocket], None]:
    """Return what keeps the frames that a page sends on a socket."""
    return lambda socket: socket.on("framesent", lambda frame: sent.append(frame))  # noqa: PLW0108 - Playwright marks it


def test_the_server_is_asked_before_python_runs(console: Console, open_page: OpenPage) -> None:
    """Python takes over what `runtime/page/boot.mjs` began: it asks no more, and joins on the socket that is there.

    A page on a busy machine may try another one later, and take the faster.
    """
    operators = [open_page("about:blank", wait_for=None) for _ in range(2)]
    asked: list[str] = []
    sent_first: list[list[str | bytes]] = [[] for _ in operators]
    for operator, sent in zip(operators, sent_first, strict=True):
        operator.page.on("request", lambda request: asked.append(request.url) if "/ice?" in request.url else None)
        operator.page.once("websocket", _frames_into(sent))
        operator.page.goto(f"{console.address}?session=early&autoconnect")
    for operator in operators:
        operator.expect_state("connected")
    assert len(asked) == len(operators), asked
    for sent in sent_first:
        assert [frame for frame in sent if json.loads(frame)["kind"] == "join"], sent
    assert operators[0].page.evaluate(
        "performance.getEntriesByType('resource').find(({ name }) => name.includes('/ice?')).startTime"
        " < performance.getEntriesByName('console-imported')[0].startTime"
    )


def test_what_was_asked_too_early_is_asked_again(console: Console, open_page: OpenPage) -> None:
    first, second = (open_page("about:blank", wait_for=None) for _ in range(2))
    refused: list[Route] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route)
            route.abort()

    first.page.route("**/ice?*", refuse_once)
    first.page.add_init_script(CLOSE_FIRST)
    first.page.goto(f"{console.address}?session=early")
    first.expect_state("ready")
    second.page.goto(f"{console.address}?session=early&autoconnect")
    first.connect()
    for operator in (first, second):
        operator.expect_state("connected")
    assert len(refused) == 1
    first.expect_problem("ERR_FAILED")


def test_a_change_under_pyapp_is_there_at_the_next_reload(
    start_console: StartConsole, open_page: OpenPage, checkout: Path
) -> None:
    """No build in between. The page that was loaded before still gets what it was made of."""
    console = start_console("--turn", "off", root=checkout)
    before, after = open_page(console.address), open_page(console.address)
    with (checkout / "pyapp/main.py").open("a") as main:
        main.write('\nwindow.document.body.setAttribute("data-changed", "yes")\n1 / 0\n')
    after.page.reload()
    after.expect_attribute("data-changed", "yes")
    cause = after.page.locator("#cause")
    expect(cause).to_contain_text("ZeroDivisionError")
    lines = len((checkout / "pyapp/main.py").read_text().splitlines())
    assert f'File "pyapp/main.py", line {lines}' in (cause.text_content() or "")
    assert "1 / 0" in (cause.text_content() or ""), "the source of the line"
    after.excuse(".")
    found = before.page.evaluate(
        "Promise.all(performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/'))"
        ".map(async ({ name }) => (await fetch(name, { cache: 'no-store' })).status))"
    )
    assert set(found) == {200}


def test_a_browser_whose_heap_is_profiled_does_not_crash(
    console: Console, open_page: OpenPage, playwright: Playwright
) -> None:
    """Chromium profiles that of some of its users; on stacks that it does not know it reads too far."""
    profiled = "HeapProfilerReporting:stable-probability/1/nonstable-probability/1/sampling-rate/5000"
    chromium = playwright.chromium.launch(
        executable_path=program("chromium"), args=[*CHROMIUM_ARGS, f"--enable-features={profiled}"]
    )
    try:
        operator = open_page(console.address, by=chromium)
        assert not operator.page.evaluate(RUN, "from pyodide.ffi import can_run_sync; can_run_sync()")
        for _ in range(12):
            operator.page.reload()
            operator.expect_state("ready")
    finally:
        chromium.close()
