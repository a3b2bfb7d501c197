"""The browser's second `RTCPeerConnection`, the standby: one channel, and descriptions with all their candidates."""

from collections.abc import Callable
from typing import Any

from pyodide.ffi import JsException

from pyapp.browser.constructor import Constructor
from pyapp.browser.ffi import Listeners, OnError, jsobj, when_settled_unless_closed
from pyapp.core import commands
from pyapp.core.commands import StandbyCommand
from pyapp.core.events import (
    ChannelClosed,
    ChannelOpened,
    ChannelReceived,
    Event,
    SessionDescription,
    StandbyDescribed,
    StandbyFailed,
)
from pyapp.protocol.ice import IceConfiguration


class StandbyPeer:
    """Performs `StandbyCommand`s."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError, constructor: Constructor) -> None:
        self._constructor = constructor
        self._emit = emit
        self._on_error = on_error
        self._number = 0
        self._pc: Any = None
        self._channel: Any = None
        self._listeners: Listeners | None = None

    def perform(self, command: StandbyCommand) -> None:
        """Begin what `command` says; whatever the browser refuses is the end of this standby."""
        try:
            self._perform(command)
        except JsException as error:
            self._failed(error)

    def send(self, text: str) -> None:
        """Send on the channel. Raises `JsException` if the browser does not."""
        self._channel.send(text)

    def _perform(self, command: StandbyCommand) -> None:
        match command:
            case commands.OfferStandby(number, configuration):
                self._create(number, configuration)
                self._describe()
            case commands.AnswerStandby(number, configuration, offer):
                self._create(number, configuration)
                self._call(self._pc.setRemoteDescription(_init(offer)), self._describe)
            case commands.AcceptStandby(answer):
                self._call(self._pc.setRemoteDescription(_init(answer)), lambda: None)
            case commands.CloseStandby():
                self._close()

    def _create(self, number: int, configuration: IceConfiguration) -> None:
        self._close()
        self._number = number
        pc = self._pc = self._constructor.new(configuration)
        options = jsobj({"negotiated": True, "id": 0, "ordered": False, "maxRetransmits": 0})
        channel = self._channel = pc.createDataChannel("standby", options)
        listeners = self._listeners = Listeners(self._on_error)
        listeners.add(pc, "icegatheringstatechange", lambda _: self._gathered())
        listeners.add(pc, "connectionstatechange", lambda _: self._is_now(str(pc.connectionState)))
        listeners.add(channel, "open", lambda _: self._emit(ChannelOpened("standby")))
        listeners.add(channel, "close", lambda _: self._emit(ChannelClosed("standby")))
        listeners.add(channel, "message", lambda event: self._emit(ChannelReceived("standby", str(event.data))))

    def _describe(self) -> None:
        self._call(self._pc.setLocalDescription(), lambda: None)

    def _gathered(self) -> None:
        if self._pc.iceGatheringState == "complete":
            description = self._pc.localDescription
            described = SessionDescription(str(description.type), str(description.sdp))
            self._emit(StandbyDescribed(self._number, described))

    def _is_now(self, state: str) -> None:
        if state == "failed":
            self._emit(StandbyFailed(self._number, "the connection failed"))

    def _call(self, promise: Any, done: Callable[[], None]) -> None:
        """Do what follows a promise of this connection."""
        when_settled_unless_closed(lambda: self._pc, promise, done, self._failed, self._on_error)

    def _failed(self, error: Any) -> None:
        self._emit(StandbyFailed(self._number, f"{error.name}: {error.message}"))

    def _close(self) -> None:
        if self._listeners is not None:
            self._listeners.close()
            self._listeners = None
        if self._pc is not None:
            self._pc.close()
            self._pc = self._channel = None


def _init(description: SessionDescription) -> Any:
    return jsobj({"type": description.type, "sdp": description.sdp})
