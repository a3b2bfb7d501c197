"""What a check asks of the server: all ICE servers, a WebSocket, and to keep its report. Loaded with the first one."""

import json
from collections.abc import Callable
from typing import Any

from js import URL, AbortSignal, WebSocket, encodeURIComponent, location, navigator, window

from pyapp.browser.ffi import Listeners, OnError, jsobj, promise_of, when_settled
from pyapp.browser.health import ask_health
from pyapp.browser.tabs import Borrow
from pyapp.core import commands
from pyapp.core.check.findings import OFFLINE
from pyapp.core.commands import CheckCommand
from pyapp.core.events import CheckReportKept, CheckServersFailed, CheckServersReceived, Event, WebSocketTried
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.check import check_servers_from_json
from pyapp.protocol.ice import IceError
from pyapp.protocol.signaling import PLACE_HEADER

DEADLINE = 6000
"""Milliseconds for an answer, and for a WebSocket to open: `GET /healthz` is then asked within the check's time."""


class CheckServer:
    """Performs `CheckCommand`s. `invitation` returns this tab's, for a header; `borrow` asks another tab."""

    def __init__(
        self, emit: Callable[[Event], None], on_error: OnError, *, invitation: Callable[[], str], borrow: Borrow
    ) -> None:
        self._emit = emit
        self._on_error = on_error
        self._invitation = invitation
        self._borrow = borrow
        self._borrowed = ""
        """The invitation of another tab that the last check began with."""
        self._close_websocket: Callable[[], None] = lambda: None
        """Closes the one that is being tried."""

    def perform(self, command: CheckCommand) -> None:
        """Begin what `command` says."""
        match command:
            case commands.AskCheckServers() if self._invitation():
                self._ask(command, "")
            case commands.AskCheckServers(session=session):
                self._borrow(session, lambda borrowed: self._ask(command, borrowed))
            case commands.TryWebSocket(number):
                self._try_websocket(number)
            case commands.GiveUpWebSocket():
                self._close_websocket()
            case commands.KeepCheckReport():
                self._keep(command)

    def _ask(self, command: commands.AskCheckServers, borrowed: str) -> None:
        number = command.number
        self._borrowed = borrowed

        def failed(code: str, reason: str) -> None:
            self._emit(CheckServersFailed(number, code, reason))

        def read(response: Any, text: str) -> None:
            body = _json(text)
            if not response.ok or body is None:
                problem = body if isinstance(body, dict) else {}
                reason = str(problem.get("message", f"GET /ice?check: HTTP status {response.status}"))
                failed(str(problem.get("code", "")), reason)
                return
            try:
                servers = check_servers_from_json(body)
            except IceError as error:
                failed("", str(error))
                return
            self._emit(CheckServersReceived(number, servers.configuration, servers.seen))

        url = f"ice?check&session={encodeURIComponent(command.session)}"
        options = self._options("GET", command)

        def unanswered(error: Any) -> None:
            failed("" if navigator.onLine else OFFLINE, f"GET /ice?check: {error}")

        self._fetch(url, options, read, unanswered)

    def _keep(self, command: commands.KeepCheckReport) -> None:
        def kept(identifier: str) -> None:
            self._emit(CheckReportKept(command.number, identifier))

        def read(response: Any, text: str) -> None:
            body = _json(text)
            kept(str(body.get("id", "")) if response.ok and isinstance(body, dict) else "")

        options = self._options("POST", command)
        options.body = json.dumps(command.report)
        self._fetch(f"checks?session={encodeURIComponent(command.session)}", options, read, lambda _: kept(""))

    def _options(self, method: str, command: commands.AskCheckServers | commands.KeepCheckReport) -> Any:
        invitation = self._invitation() or self._borrowed
        headers = {INVITATION_HEADER: invitation} if invitation else {}
        if command.place is not None:
            headers[PLACE_HEADER] = command.place.to_header()
        options: Any = jsobj({"method": method, "headers": headers, "cache": "no-store"})
        options.signal = AbortSignal.timeout(DEADLINE)
        return options

    def _fetch(self, url: str, options: Any, read: Callable[[Any, str], None], failed: Callable[[Any], None]) -> None:
        def answered(response: Any) -> None:
            text = promise_of(response, "text")
            when_settled(text, lambda text: read(response, str(text)), failed, self._on_error)

        when_settled(promise_of(window, "fetch", url, options), answered, failed, self._on_error)

    def _try_websocket(self, number: int) -> None:
        url = str(URL.new("ws", location.href).href)
        socket = WebSocket.new(f"ws{url.removeprefix('http')}")
        listeners = Listeners(self._on_error)

        def close() -> None:
            listeners.close()
            socket.close()

        def opened(_: Any) -> None:
            close()
            self._emit(WebSocketTried(number))

        def closed(_: Any) -> None:
            close()
            ask_health(lambda why: self._emit(WebSocketTried(number, why)), self._on_error)

        self._close_websocket = close
        listeners.add(socket, "open", opened)
        listeners.add(socket, "close", closed)
        listeners.add(AbortSignal.timeout(DEADLINE), "abort", closed)  # the host is gone, or a firewall drops it


def _json(text: str) -> Any:
    """Return the JSON value in `text`, None if there is none: the page of a proxy, or of a network with a log-in."""
    try:
        return json.loads(text)
    except ValueError:
        return None
