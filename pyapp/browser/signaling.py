"""The way to the server: `GET /ice` by fetch, `GET /ws` by WebSocket. Callbacks translate and emit, nothing more."""

from collections.abc import Callable
from typing import Any

from js import WebSocket, encodeURIComponent, fetch, location

from pyapp import commands
from pyapp.browser.ffi import Listeners, OnError, jsobj, plain, when_settled
from pyapp.commands import ServerCommand
from pyapp.events import (
    Event,
    IceConfigurationFailed,
    IceConfigurationReceived,
    SignalingClosed,
    SignalingGarbled,
    SignalingOpened,
    SignalingReceived,
)
from pyapp.ice import IceError, ice_configuration_from_json
from pyapp.messages import MessageError, decode_server, encode


class Server:
    """Performs `ServerCommand`s. `invitation` goes where no log looks: a header, and the first frame."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError, *, invitation: str) -> None:
        self._emit = emit
        self._on_error = on_error
        self._invitation = invitation
        self._socket: Any = None
        self._listeners: Listeners | None = None

    def perform(self, command: ServerCommand) -> None:
        """Begin what `command` says."""
        match command:
            case commands.FetchIceConfiguration(session):
                self._fetch(session)
            case commands.OpenSignaling():
                self._close()
                self._open()
            case commands.CloseSignaling():
                self._close()
            case commands.SendSignaling(message):
                self._socket.send(encode(message))

    def _fetch(self, session: str) -> None:
        headers = {"Authorization": f"Bearer {self._invitation}"} if self._invitation else {}
        request = fetch(f"/ice?session={encodeURIComponent(session)}", jsobj({"headers": headers, "cache": "no-store"}))

        def answered(response: Any) -> None:
            when_settled(response.json(), lambda body: self._configured(response, plain(body)), failed, self._on_error)

        def failed(error: Any) -> None:
            self._emit(IceConfigurationFailed("", str(error)))

        when_settled(request, answered, failed, self._on_error)

    def _configured(self, response: Any, body: Any) -> None:
        if not response.ok:
            problem = body if isinstance(body, dict) else {}
            reason = str(problem.get("message", f"HTTP status {response.status}"))
            self._emit(IceConfigurationFailed(str(problem.get("code", "")), reason))
            return
        try:
            configuration = ice_configuration_from_json(body)
        except IceError as error:
            self._emit(IceConfigurationFailed("", str(error)))
            return
        self._emit(IceConfigurationReceived(configuration))

    def _open(self) -> None:
        scheme = "wss" if location.protocol == "https:" else "ws"
        self._socket = WebSocket.new(f"{scheme}://{location.host}/ws")
        self._listeners = Listeners(self._on_error)
        self._listeners.add(self._socket, "open", lambda _: self._emit(SignalingOpened()))
        self._listeners.add(self._socket, "close", lambda event: self._closed(int(event.code), str(event.reason)))
        self._listeners.add(self._socket, "message", lambda event: self._received(event.data))

    def _closed(self, code: int, reason: str) -> None:
        self._close()
        self._emit(SignalingClosed(code, reason))

    def _received(self, data: Any) -> None:
        if not isinstance(data, str):
            self._emit(SignalingGarbled("a binary frame"))
            return
        try:
            message = decode_server(data)
        except MessageError as error:
            self._emit(SignalingGarbled(str(error)))
            return
        self._emit(SignalingReceived(message))

    def _close(self) -> None:
        if self._listeners is not None:
            self._listeners.close()
            self._listeners = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
