"""Real Chromium in the lab's hosts: a browser a host (more, if SNAP or a permission matters), a page a server in it."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from playwright.sync_api import BrowserContext, expect

from tests.lab.sites import NAMES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Page

    from tests.lab.lab import Lab
    from tests.lab.servers import Served
    from tests.lab.sites import Host

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
)
CAMERA_FLAG = "--use-fake-device-for-media-stream"
SNAP_FLAG = "--enable-blink-features=WebRtcSctpSnap"

_INSTRUMENT = Path(__file__).with_name("instrument.js").read_text()
_LOADING = 60_000  # ms: a page of megabytes over a line with delay, on a busy machine
_CLICKING = 60_000  # ms, on a busy machine
_BROWSER_BYTES = 600_000_000  # of one browser with both pages, generously
_MOST = 24  # browsers: more only cost memory, each is opened again within seconds


class _Key(NamedTuple):
    """Of a browser: the node it runs in, whether it remembers a permission, and whether it knows SNAP."""

    node: str
    camera: bool
    snap: bool


@dataclass(kw_only=True)
class End:
    """A page that plays one end. `problems` is what the browser complained of since they were last taken."""

    host: Host
    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def begin(self, session: str, *, camera: bool = False, microphone: bool = False) -> None:
        """Make ready for a session, up to the click."""
        self.page.evaluate("lab.begin()")
        self.page.locator("#session").fill(session)
        for name in ["camera"] * camera + ["microphone"] * microphone:
            button = self.page.locator(f"#{name}")
            if button.get_attribute("aria-pressed") != "true":
                button.click()
                expect(button).to_have_attribute("aria-pressed", "true", timeout=_CLICKING)

    def arrive(self, session: str, rest: float) -> None:
        """Load the page anew, at the session's own address, and click so many seconds after it is ready."""
        self.page.goto(f"{self.address}?session={session}", timeout=_LOADING, wait_until="commit")
        self.ask("clickWhenReady", rest * 1000)

    def say(self, text: str) -> None:
        """Send a message."""
        self.page.locator("#message").fill(text, timeout=_CLICKING)
        self.page.locator("#send").click(timeout=_CLICKING)

    def expect_message(self, text: str) -> None:
        """Wait for a message of the other end."""
        expect(self.page.locator("#messages")).to_contain_text(text, timeout=_CLICKING)

    def connect(self) -> None:
        """Click."""
        self.page.locator("#connect").click(timeout=_CLICKING)

    def expect_state(self, state: str) -> None:
        """Wait for the page to say so."""
        expect(self.page.locator("body")).to_have_attribute("data-state", state, timeout=_CLICKING)

    def state(self) -> str:
        """Return what the page says."""
        return self.page.locator("body").get_attribute("data-state") or ""

    def ask(self, what: str, *arguments: float | Sequence[str]) -> Any:
        """Call a function of the instrument (`instrument.js`)."""
        return self.page.evaluate(f"lab.{what}({', '.join(map(json.dumps, arguments))})")

    def take_problems(self) -> list[str]:
        """Return what the browser complained of, and forget it."""
        taken = self.problems[:]
        self.problems.clear()
        return taken


class Fleet:
    """Browsers in hosts, opened when they are needed; those not used for longest are closed for others."""

    def __init__(
        self, chromium: BrowserType, lab: Lab, *, most: int | None = None, flags: Sequence[str] = FLAGS
    ) -> None:
        self._flags = flags
        self._chromium = chromium
        self._lab = lab
        self._most = most or _room()
        self._browsers: dict[_Key, Browser | BrowserContext] = {}
        self._resolvers: dict[str, subprocess.Popen[str]] = {}
        self._ends: dict[tuple[_Key, str], End] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Close all."""
        for node in {key.node for key in self._browsers}:
            self.close(node)

    def end(self, host: Host, served: Served, *, camera: bool = False, snap: bool = False) -> End:
        """Return a host's page of a server, loaded and ready for a click. `snap`: in a browser that knows SNAP.

        `camera`: in a browser that has cameras and microphones of its own making, whose person allowed them for good.
        """
        browser = self._browser(_Key(host.node, camera, snap), host)
        key = (_Key(host.node, camera, snap), served.address)
        if key not in self._ends:
            # Playwright's own switch for certificates is not needed, the browser's covers TURN over TLS as well.
            page = (browser if isinstance(browser, BrowserContext) else browser.new_context()).new_page()
            page.add_init_script(_INSTRUMENT)
            end = self._ends[key] = End(host=host, page=page, address=served.address)
            _listen(end)
            page.goto(served.address, timeout=_LOADING)
            expect(page.locator("body")).to_have_attribute("data-state", "ready", timeout=_LOADING)
        return self._ends[key]

    def discard(self, end: End) -> None:
        """Close a page that can no longer be trusted; the next one is a new one."""
        end.page.close()
        self._ends = {key: each for key, each in self._ends.items() if each is not end}

    def close(self, node: str) -> None:
        """Close a host's browsers, if it has any."""
        for key in [key for key in self._browsers if key.node == node]:
            self._close(key)
        if resolver := self._resolvers.pop(node, None):
            self._lab.network.stop(resolver)

    def _close(self, key: _Key) -> None:
        self._ends = {(where, address): end for (where, address), end in self._ends.items() if where != key}
        self._browsers.pop(key).close()

    def _browser(self, key: _Key, host: Host) -> Browser | BrowserContext:
        browser = self._browsers.pop(key, None)
        if not browser:
            while len(self._browsers) >= self._most:
                self._close(next(iter(self._browsers)))
            browser = self._launch(key, host)
        self._browsers[key] = browser  # to the end: the first is the one not used for longest
        return browser

    def _launch(self, key: _Key, host: Host) -> Browser | BrowserContext:
        program = shutil.which("chromium") or "chromium"
        script = self._lab.network.directory / f"{host.node}-chromium"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(self._lab.network.command(host.node, [program]))} "$@"\n')
        script.chmod(0o700)
        flags = [*self._flags, *((SNAP_FLAG,) if key.snap else ())]
        if proxy := self._lab.proxy_for(host.place):
            flags.append(f"--proxy-server={proxy}")
        if host.node not in self._resolvers:
            self._resolvers[host.node] = self._lab.network.start_resolver(host)
        if not key.camera:
            return self._chromium.launch(executable_path=script, args=flags)
        profile = Path(tempfile.mkdtemp(prefix="profile-", dir=self._lab.network.directory))
        write_permission(profile)
        return self._chromium.launch_persistent_context(profile, executable_path=script, args=[*flags, CAMERA_FLAG])


def write_permission(profile: Path) -> None:
    """Make a new profile that of a person who allowed the lab's servers to use camera and microphone, for good.

    What Playwright grants, and `--use-fake-ui-for-media-stream`, is not the same: that overrules permissions policies.
    """
    allowed = {f"https://{name}:*,*": {"setting": 1} for name in NAMES.values()}
    exceptions = {"media_stream_camera": allowed, "media_stream_mic": allowed}
    preferences = {"profile": {"content_settings": {"exceptions": exceptions}}}
    (profile / "Default").mkdir()
    (profile / "Default" / "Preferences").write_text(json.dumps(preferences))


def hang_up(ends: Sequence[End]) -> None:
    """Let all leave at once: who is left alone would begin anew, and ask for relays again."""
    leaving = [end for end in ends if end.state() not in ("failed", "ready", "closed")]
    for end in leaving:
        # Without the questions of a locator's click, so that the others are not told before their turn.
        end.page.evaluate("document.querySelector('#hangup').click()")
    for end in leaving:
        end.expect_state("closed")


def _listen(end: End) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            end.problems.append(f"console {message.type}: {message.text}")

    end.page.on("console", on_console)
    end.page.on("pageerror", lambda error: end.problems.append(f"page error: {error}"))
    end.page.on("crash", lambda _: end.problems.append("the page crashed"))


def _room() -> int:
    """Return how many browsers the machine has memory for."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return max(2, min(_MOST, int(line.split()[1]) * 1024 // _BROWSER_BYTES))
    return 2
