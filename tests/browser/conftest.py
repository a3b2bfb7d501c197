"""Real pages in a real Chromium, through the real server and the real coturn, on a network of their own."""

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import trustme
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page, expect

from backend.journal.reading import entries_of
from tests.lab.browser import CAMERA_FLAG, FLAGS
from tests.lab.coturn import Allocations, count_allocations

ROOT = Path(__file__).parents[2]
CHROMIUM_ARGS = [
    *FLAGS,
    f"{CAMERA_FLAG}=device-count=3",
    "--use-fake-ui-for-media-stream",
    "--auto-accept-this-tab-capture",
]
WATCH = """
top.peerConnections ??= [];  // the page takes the constructor of a frame of its own
top.rehearsed ??= [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    const {iceTransportPolicy, iceServers} = options[0] ?? {};
    const isRehearsal = iceTransportPolicy == "relay" && !iceServers.length;
    (isRehearsal ? top.rehearsed : top.peerConnections).push(this);
  }
};
window.permissionsAsked = [];
for (const name of ["getUserMedia", "getDisplayMedia"]) {
  const original = navigator.mediaDevices?.[name].bind(navigator.mediaDevices);
  if (!original) continue;
  navigator.mediaDevices[name] = (...options) => { permissionsAsked.push(name); return original(...options); };
}
"""
"""The page's connections and requests, for tests that look at the browser's side of the story."""

BUSY = ("WebSocket is closed before the connection is established", "WebRTC: ICE failed")
"""What Chromium and Firefox complain of on a machine that is slow enough: of a socket that the page gave up since
another was faster, and of a path that the page then restores. What must come of it, each test says itself."""

MOST_BUSY = 3
"""So many of each may come in a page that no test has excused: more would be a page that keeps failing."""

TIMEOUT = 60_000
"""Milliseconds for a condition; the machines are slow and shared, and a condition that holds does not wait."""

expect.set_options(timeout=TIMEOUT)


def program(name: str) -> str:
    """Return the path of a program that the tests need; `make test` installs it."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed: run 'make setup-test'")
    return path


@pytest.fixture(scope="session", autouse=True)
def _prepared_runtime() -> None:
    """Test what would be shipped: the prepared runtime for the sources as they are now."""
    subprocess.run([program("node"), "runtime/build/build.mjs"], cwd=ROOT, check=True)


@dataclass
class Console:
    """A running `server.py` of the sources under `root`. `log` is all that it printed so far."""

    arguments: list[str]
    environment: dict[str, str]
    journal: Path
    root: Path
    address: str = ""
    operator_fragment: str = ""
    """What the printed address has behind it: an operator's invitation, unless the server is open."""
    lines: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start the server, and wait until it says that it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "server.py", *self.arguments, "--journal", str(self.journal)],
            cwd=self.root,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(60) or not self.address:
            self.stop()
            pytest.fail("the server did not become ready:\n" + self.log)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Have it answer nothing during the block: its kernel takes connections, and that is all."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _read(self, ready: threading.Event) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if match := re.search(r"ICE Console: (https?://[^\s#]+)(\S*)", line):
                self.address, self.operator_fragment = match[1], match[2]
                ready.set()
        ready.set()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def run(self, *arguments: str) -> str:
        """Run `server.py` with another command in the same environment, and return what it prints."""
        command = [sys.executable, "server.py", *arguments, "--journal", str(self.journal)]
        environment = os.environ | self.environment
        return subprocess.run(
            command, cwd=self.root, env=environment, check=True, capture_output=True, text=True
        ).stdout

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the server and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(60)
        self._reader.join(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def entries(self, session: str) -> list[dict[str, Any]]:
        """Return the journal of a session, oldest first."""
        return entries_of(self.journal, session)


StartConsole = Callable[..., Console]


@contextlib.contextmanager
def running_consoles(folder: Path) -> Iterator[StartConsole]:
    """Start servers with the arguments given, which keep what they know under `folder`, and stop them in the end."""
    running: list[Console] = []

    def start(
        *arguments: str, environment: dict[str, str] | None = None, root: Path = ROOT, access: str = "--open"
    ) -> Console:
        state = {"XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        console = Console(
            # One that is started again must be found where it was: its port is one that nobody else gets meanwhile.
            ["--port", str(free_port()), *([access] if access else []), *arguments],
            state | (environment or {}),
            folder / f"journal-{len(running)}",
            root,
        )
        running.append(console)
        console.start()
        return console

    yield start
    for console in running:
        code = console.stop()
        assert code == 0, console.log
        assert "Traceback" not in console.log, console.log


@pytest.fixture
def start_console(tmp_path: Path) -> Iterator[StartConsole]:
    """Start servers for a test."""
    with running_consoles(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Serve the console to all tests of a module that are about pages, each in sessions of its own."""
    with running_consoles(tmp_path_factory.mktemp("shared")) as start:
        yield start()


@pytest.fixture
def console(start_console: StartConsole) -> Console:
    """Serve the console as `make run` does."""
    return start_console()


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Issue a certificate for 127.0.0.1 that no browser trusts by itself."""
    folder = tmp_path_factory.mktemp("tls")
    issued = trustme.CA().issue_cert("127.0.0.1", "localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return Certificate(certificate, key)


@pytest.fixture(scope="session")
def browser(browser_type: BrowserType) -> Iterator[Browser]:
    """Debian's Chromium, with a camera and a microphone that are not there."""
    chromium = browser_type.launch(executable_path=program("chromium"), args=CHROMIUM_ARGS)
    yield chromium
    chromium.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the sources, which a test may change, with the runtime that is prepared."""
    root = tmp_path / "checkout"
    for folder in ("backend", "pyapp", "runtime", "static"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("index.html", "server.py", "build/assets/manifest.json"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, root / file)
    for group in json.loads((root / "build/assets/manifest.json").read_text())["groups"].values():
        (root / "build/assets" / group).symlink_to(ROOT / "build/assets" / group)
    return root


GIVEN = """() => {
  window.given = [];
  const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (...options) => {
    const stream = await original(...options);
    given.push(...stream.getTracks());
    return stream;
  };
}"""
"""Keeps the tracks that the browser gives the page."""


@dataclass
class Operator:
    """A person at a page of their own: own profile, own tab."""

    page: Page
    context: BrowserContext
    problems: list[str]
    excused: list[str] = field(default_factory=list)
    """Patterns of problems that do not fail the test."""

    def state(self) -> str:
        return self.page.locator("body").get_attribute("data-state") or ""

    def expect_state(self, state: str) -> None:
        expect(self.page.locator("body")).to_have_attribute("data-state", state)

    def expect_attribute(self, name: str, value: str | re.Pattern[str]) -> None:
        expect(self.page.locator("body")).to_have_attribute(name, value)

    def attribute(self, name: str) -> str:
        return self.page.locator("body").get_attribute(name) or ""

    def expect_that(self, expression: str) -> None:
        """Wait until it holds in the page.

        Playwright's own way evaluates it within the page from the second time on, which its security policy forbids.
        """
        wait_until(lambda: bool(self.page.evaluate(expression)), f"{expression} holds")

    def expect_generation(self, least: int) -> None:
        """Wait for ICE generation `least`; a busy machine may make the pages suspicious, and restart once more."""
        self.expect_attribute("data-ice-generation", re.compile(rf"^([{least}-9]|\d\d)$"))

    def expect_first_connection(self, recorded: list[dict[str, Any]]) -> None:
        """Expect that the page still uses the first connection that it made; `recorded` says otherwise why it does not.

        Where a busy machine made it doubt the path, it may have begun another one beside it, and given that up.
        """
        why = [f"{one['at']:.0f} {one['participant'][:4]} {one['event']} {one['data']}" for one in recorded]
        wait_until(
            lambda: bool(self.page.evaluate("peerConnections[0].connectionState == 'connected'")),
            "\n".join(["the first connection is in use", *why]),
        )

    def connect(self) -> None:
        self.page.locator("#connect").click()

    def use_camera(self) -> None:
        """Switch the camera on, and keep its tracks in view."""
        self.page.evaluate(GIVEN)
        self.page.locator("#camera").click()
        expect(self.page.locator("#camera")).to_have_attribute("aria-pressed", "true")

    def expect_camera_released(self) -> None:
        """Wait until no device is in use that `use_camera()` switched on, nor its picture shown."""
        self.expect_that("given.length > 0 && given.every((track) => track.readyState == 'ended')")
        expect(self.page.locator("#preview")).to_be_hidden()

    def send(self, text: str) -> None:
        self.page.locator("#message").fill(text)
        self.page.locator("#send").click()

    def received(self) -> list[str]:
        return self.page.locator("#messages > *").all_text_contents()

    def expect_received(self, texts: list[str]) -> None:
        expect(self.page.locator("#messages > *")).to_have_text(texts)

    def excuse(self, pattern: str) -> None:
        """Let problems pass that may come, now or later: the browser tells of them when it has time."""
        self.excused.append(pattern)

    def expect_problem(self, pattern: str) -> str:
        """Wait for a problem that must come, and return the first; more of its kind may follow."""
        self.excuse(pattern)
        found: list[str] = []

        def has_come() -> bool:
            self.page.evaluate("0")  # what the browser has told is heard only while Playwright waits for something
            found.extend(problem for problem in self.problems if re.search(pattern, problem))
            return bool(found)

        wait_until(has_come, f"the browser complains of {pattern}")
        return found[0]

    def unexpected_problems(self) -> list[str]:
        """Return those that no test has excused, and all complaints of a slow machine if they are too many."""
        found = [problem for problem in self.problems if not any(re.search(each, problem) for each in self.excused)]
        for complaint in BUSY:
            others = [problem for problem in found if not re.search(complaint, problem)]
            if len(found) - len(others) <= MOST_BUSY:
                found = others
        return found


@dataclass
class TurnServer:
    """A real coturn with a shared secret, on loopback. `log` is all that it printed so far."""

    secret: str
    port: int
    tls_port: int
    addresses: tuple[str, ...]
    """Where it listens; it relays from the first."""
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def url(self, protocol: str, host: str = "") -> str:
        """Return the URI under which it relays over `udp`, `tcp` or `tls`: at its first address, or at `host`."""
        host = host or self.addresses[0]
        if protocol == "tls":
            return f"turns:{host}:{self.tls_port}?transport=tcp"
        return f"turn:{host}:{self.port}?transport={protocol}"

    def configuration(
        self, folder: Path, *, protocol: str = "udp", secret: str | None = None, ttl: int | None = None
    ) -> Path:
        """Write a configuration file for the console that names this server alone. `ttl` in seconds."""
        path = folder / f"ice-{protocol}.toml"
        path.write_text(
            "checks = false\n"  # the allocations at it are the pages'
            f'[[server]]\nname = "test-turn"\nurls = ["{self.url(protocol)}"]\nsecret = "{secret or self.secret}"\n'
            + (f"ttl = {ttl}\n" if ttl else "")
        )
        return path

    def allocations(self) -> Allocations:
        """Return what its log tells of relays."""
        return count_allocations(self.log)


LEAST_RELAY_PORT = 61_000
"""Above all ports that Linux gives to sockets by itself, so that relays' packets can be told from others."""
_PORTS = itertools.count(20_000)
"""Below all of those: between this process and the program that it is meant for, no browser's socket gets one."""


def free_port() -> int:
    """Return a port that nothing has, over TCP or UDP; the next call returns another one."""
    return next(port for port in _PORTS if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what was closed a moment ago is free
        try:
            for probe in (tcp, udp):
                probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


@pytest.fixture
def turn_server(certificate: Certificate) -> Iterator[TurnServer]:
    """Run a coturn as an operator's own server would run, at two addresses as if there were two."""
    with running_turn_server(certificate, "127.0.0.1", "127.0.0.2") as server:
        yield server


@contextlib.contextmanager
def running_turn_server(certificate: Certificate, *addresses: str) -> Iterator[TurnServer]:
    """Run one at these addresses."""
    server = TurnServer(secrets.token_hex(16), free_port(), free_port(), addresses)
    command = [
        *(program("turnserver"), "-n", "--no-cli", "--use-auth-secret", f"--static-auth-secret={server.secret}"),
        *("--realm=example.org", "--fingerprint", f"--relay-ip={addresses[0]}"),
        *(f"--listening-ip={address}" for address in addresses),
        *(f"--listening-port={server.port}", f"--tls-listening-port={server.tls_port}", "--allow-loopback-peers"),
        *(f"--cert={certificate.certificate}", f"--pkey={certificate.key}", "--log-file=stdout", "--simple-log", "-v"),
        *("--no-dtls", "--pidfile=", "--userdb=", f"--min-port={LEAST_RELAY_PORT}"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    ready = threading.Event()

    def read(output: IO[str]) -> None:
        for line in output:
            server.lines.append(line)
            if "Total auth threads" in line or "IO method" in line:
                ready.set()

    reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        assert ready.wait(20), server.log
        ports = (server.port, server.tls_port)
        wait_until(lambda: all(accepts(port, addresses[0]) for port in ports), "coturn listens")
        yield server
    finally:
        process.terminate()
        process.wait(20)
        reader.join(20)
        process.stdout.close()


def accepts(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether something on this machine takes TCP connections there."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = TIMEOUT / 1000) -> None:
    """Wait until a condition holds that no page can be asked for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it never came to be that {what}"
        time.sleep(0.02)


OpenPage = Callable[..., Operator]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open pages; any page error, console error or fault that a test did not take fails it."""
    operators: list[Operator] = []

    def open_one(
        address: str, *, wait_for: str | None = "ready", by: Browser | None = None, **context_options: Any
    ) -> Operator:
        context = (by or browser).new_context(ignore_https_errors=True, **context_options)
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(WATCH)
        page = context.new_page()
        problems: list[str] = []

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                problems.append(f"console {message.type}: {message.text} ({message.location['url']})")

        page.on("console", on_console)
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        operator = Operator(page, context, problems)
        operators.append(operator)
        page.goto(address)
        if wait_for:
            operator.expect_state(wait_for)
        return operator

    yield open_one
    problems = [problem for operator in operators for problem in operator.unexpected_problems()]
    for operator in operators:
        operator.context.close()
    assert not problems, "\n".join(problems)


def expiries(server: TurnServer) -> list[int]:
    """Return when the credentials expire for which relays were made: Unix times, in order."""
    return sorted({int(name.partition(":")[0]) for name in server.allocations().users})


def first_expiry(server: TurnServer) -> int:
    """Return the latest of them so far, once coturn has told of a relay."""
    wait_until(lambda: bool(expiries(server)), "coturn gave a relay")
    return expiries(server)[-1]


def expect_second_credentials(console: Console, session: str, pages: tuple[Operator, Operator], before: int) -> None:
    """Expect that a relayed session goes on after `before`, a Unix time, when its first credentials expire.

    The first page must have sent "with the first credentials".
    """
    first, second = pages
    wait_until(lambda: time.time() > before + 1, "the first credentials have expired")
    second.send("with the second credentials")
    second.expect_state("connected")
    first.expect_received(["with the second credentials"])
    second.expect_received(["with the first credentials"])
    for operator in (first, second):
        operator.expect_attribute("data-path", "relay")
        operator.expect_first_connection(console.entries(session))


def pair(
    console: Console,
    open_page: OpenPage,
    *,
    session: str,
    query: str = "",
    first_by: Browser | None = None,
    second_by: Browser | None = None,
) -> tuple[Operator, Operator]:
    """Connect two operators in one session, in other browsers if given. The first makes the first offer."""
    address = f"{console.address}?session={session}{query}"
    first = open_page(address, by=first_by)
    first.connect()
    first.expect_state("waiting")
    second = open_page(address, by=second_by)
    second.connect()
    for operator in (first, second):
        operator.expect_state("connected")
    return first, second
