"""The way to the server: `GET /ice` by fetch, `GET /ws` by WebSocket. Callbacks translate and emit, nothing more."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from js import URL, AbortSignal, WebSocket, encodeURIComponent, location, window

from pyapp.browser.ffi import Listeners, OnError, jsobj, plain, promise_of, when_settled
from pyapp.browser.health import ask_health
from pyapp.browser.inviting import Invitations
from pyapp.browser.tabs import Borrow
from pyapp.core import commands
from pyapp.core.commands import CheckCommand, ServerCommand
from pyapp.core.events import (
    Event,
    HealthTold,
    IceConfigurationFailed,
    IceConfigurationReceived,
    InvitationGiven,
    Obstacle,
    SignalingClosed,
    SignalingGarbled,
    SignalingOpened,
    SignalingReceived,
)
from pyapp.protocol.access import INVITATION_HEADER, is_invitation
from pyapp.protocol.ice import IceError, ice_configuration_from_json
from pyapp.protocol.journal import Journal
from pyapp.protocol.signaling import PLACE_HEADER, HeldPlace, decode_server
from pyapp.protocol.wire import MessageError, encode

if TYPE_CHECKING:
    from pyapp.browser.checking import CheckServer

DEADLINE = 12_000
"""Milliseconds for the answer to `GET /ice`: it is asked again after that."""


class Server:
    """Performs `ServerCommand`s. `invitation` goes where no log looks: a header, and the first frame.

    `borrow` calls back with the one by which another tab is in a session, for a check in a tab that has none.
    """

    def __init__(self, emit: Callable[[Event], None], on_error: OnError, *, invitation: str, borrow: Borrow) -> None:
        self._emit = emit
        self._on_error = on_error
        self._invitation = invitation
        self._borrow = borrow
        self._inviting = Invitations(emit, on_error, invitation=invitation)
        # Another link was opened in this tab: runtime/page/boot.mjs takes it out of the address at any time.
        Listeners(on_error).add(window, "invitation", lambda _: self._invited(str(plain(window.invitation))))
        self._checking: CheckServer | None = None
        self._socket: Socket | None = None
        self._opening: Socket | None = None
        self._is_asking_health = False
        # What runtime/page/boot.mjs asked for while Python was loading.
        self._early: Any = getattr(window, "early", None)

    def perform(self, command: ServerCommand) -> None:
        """Begin what `command` says."""
        match command:
            case commands.FetchIceConfiguration():
                self._fetch(command)
            case commands.OpenSignaling(number):
                self._open(number)
            case commands.CloseSignaling():
                self._close()
            case commands.SendSignaling(message):
                if self._socket is not None:
                    self._socket.send(encode(message))
            case commands.AskHealth():
                self._ask_health()
            case commands.GiveUpPlace(place, journal):
                self._give_up(place, journal)
            case (
                commands.AskCheckServers()
                | commands.TryWebSocket()
                | commands.GiveUpWebSocket()
                | commands.KeepCheckReport()
            ):
                self._check(command)
            case _:
                self._inviting.perform(command)

    def _invited(self, invitation: str) -> None:
        self._invitation = self._inviting.invitation = invitation if is_invitation(invitation) else ""
        self._emit(InvitationGiven(invitation))

    def _check(self, command: CheckCommand) -> None:
        if self._checking is None:
            from pyapp.browser.checking import CheckServer  # with the first check, not with the page

            self._checking = CheckServer(
                self._emit, self._on_error, invitation=lambda: self._invitation, borrow=self._borrow
            )
        self._checking.perform(command)

    def _fetch(self, command: commands.FetchIceConfiguration) -> None:
        number = command.number
        headers = {INVITATION_HEADER: self._invitation} if self._invitation else {}
        if command.place is not None:
            headers[PLACE_HEADER] = command.place.to_header()
        query = "".join(f"&avoid={encodeURIComponent(host)}" for host in command.avoid)
        url = f"ice?session={encodeURIComponent(command.session)}{query}"
        request = self._early and promise_of(self._early, "answer", url)
        if not request:
            options = jsobj({"headers": headers, "cache": "no-store"})
            options.signal = AbortSignal.timeout(DEADLINE)
            request = promise_of(window, "fetch", url, options)

        def answered(response: Any) -> None:
            def read(text: Any) -> None:
                self._configured(number, response, str(text))

            when_settled(promise_of(response, "text"), read, failed, self._on_error)

        def failed(error: Any) -> None:
            self._emit(IceConfigurationFailed(number, "", f"GET /ice: {error}"))

        when_settled(request, answered, failed, self._on_error)

    def _configured(self, number: int, response: Any, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:  # the page of a proxy, or of a network that wants a log-in
            kind = plain(response.headers.get("content-type")) or "no type"
            reason = f"GET /ice: HTTP status {response.status}, {kind}, and no JSON"
            self._emit(IceConfigurationFailed(number, "", reason))
            return
        if not response.ok:
            problem = body if isinstance(body, dict) else {}
            reason = str(problem.get("message", f"GET /ice: HTTP status {response.status}"))
            self._emit(IceConfigurationFailed(number, str(problem.get("code", "")), reason))
            return
        try:
            configuration = ice_configuration_from_json(body)
        except IceError as error:
            self._emit(IceConfigurationFailed(number, "", str(error)))
            return
        self._emit(IceConfigurationReceived(number, configuration))

    def _ask_health(self) -> None:
        """Find out over HTTP why no WebSocket opens."""
        if self._is_asking_health:
            return
        self._is_asking_health = True

        def told(obstacle: Obstacle) -> None:
            self._is_asking_health = False
            self._emit(HealthTold(obstacle))

        ask_health(told, self._on_error)

    def _give_up(self, place: HeldPlace, journal: Journal | None) -> None:
        """Say goodbye over HTTP, even while the page is closed. Without a network the server finds out by itself."""
        options = jsobj({"method": "DELETE", "keepalive": True, "headers": {PLACE_HEADER: place.to_header()}})
        if journal is not None:
            options.body = encode(journal)
        options.signal = AbortSignal.timeout(DEADLINE)
        when_settled(promise_of(window, "fetch", "place", options), lambda _: None, lambda _: None, self._on_error)

    def _open(self, number: int) -> None:
        # Browsers connect one WebSocket to a host at a time: one that is lost on its way holds up the next.
        if self._opening is not None:
            self._opening.close()
        socket = self._early and self._early.socket()
        if not socket:
            # Relative to the page, which may live under any path; older browsers want the scheme said.
            url = str(URL.new("ws", location.href).href)
            socket = WebSocket.new(f"ws{url.removeprefix('http')}")
        self._opening = Socket(number, socket, self._on_error, self)

    def opened(self, socket: "Socket") -> None:
        """Take `socket` in the place of the one that was there."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._opening = socket, None
        self._emit(SignalingOpened(socket.number))

    def closed(self, socket: "Socket", code: int, reason: str) -> None:
        """Forget `socket`."""
        if socket is self._socket:
            self._socket = None
        else:
            self._opening = None
        self._emit(SignalingClosed(socket.number, code, reason))

    def received(self, socket: "Socket", data: Any) -> None:
        """Translate a frame."""
        if not isinstance(data, str):
            self._emit(SignalingGarbled(socket.number, "a binary frame"))
            return
        try:
            message = decode_server(data)
        except MessageError as error:
            self._emit(SignalingGarbled(socket.number, str(error)))
            return
        self._emit(SignalingReceived(socket.number, message))

    def _close(self) -> None:
        for socket in (self._socket, self._opening):
            if socket is not None:
                socket.close()
        self._socket = self._opening = None


class Socket:
    """One `WebSocket` that is not open yet. What it says goes to `owner` until it is closed from here."""

    def __init__(self, number: int, socket: Any, on_error: OnError, owner: Server) -> None:
        self.number = number
        self._socket = socket
        self._listeners = Listeners(on_error)
        self._listeners.add(self._socket, "open", lambda _: owner.opened(self))
        self._listeners.add(self._socket, "message", lambda event: owner.received(self, event.data))
        self._listeners.add(self._socket, "close", lambda event: self._closed(owner, event))

    def send(self, text: str) -> None:
        """Send a frame, unless the other end is closing already: what is lost so is sent again on the next socket."""
        if self._socket.readyState == WebSocket.OPEN:
            self._socket.send(text)

    def close(self) -> None:
        """Close it, without another word."""
        self._listeners.close()
        self._socket.close()

    def _closed(self, owner: Server, event: Any) -> None:
        self._listeners.close()
        owner.closed(self, int(event.code), str(event.reason))
