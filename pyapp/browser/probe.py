"""Asks a STUN server, by a connection that is thrown away, whether UDP gets out, and under which address."""

from collections.abc import Callable
from typing import Any

from pyodide.ffi import jsnull

from pyapp.browser.constructor import Constructor
from pyapp.browser.ffi import Listeners, OnError, jsobj, when_settled_unless_closed
from pyapp.core import commands
from pyapp.core.events import Event, UdpProbed


class UdpProbe:
    """Performs `ProbeUdp`, one at a time."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError, constructor: Constructor) -> None:
        self._emit = emit
        self._on_error = on_error
        self._constructor = constructor
        self._pc: Any = None
        self._listeners: Listeners | None = None

    def begin(self, command: commands.ProbeUdp) -> None:
        """Ask anew. Raises `JsException` if the browser makes no connection."""
        self.close()
        pc = self._pc = self._constructor.new(command.configuration)
        listeners = self._listeners = Listeners(self._on_error)
        listeners.add(pc, "icecandidate", lambda event: self._candidate(command.number, event.candidate))
        pc.createDataChannel("probe", jsobj({"negotiated": True, "id": 0}))
        when_settled_unless_closed(
            lambda: self._pc,
            pc.setLocalDescription(),
            lambda: None,
            lambda _: self._found(command.number, ""),
            self._on_error,
        )

    def close(self) -> None:
        """Ask no more; no event follows."""
        if self._listeners is not None:
            self._listeners.close()
            self._listeners = None
        if self._pc is not None:
            self._pc.close()
            self._pc = None

    def _candidate(self, number: int, candidate: Any) -> None:
        if candidate is jsnull:
            self._found(number, "")
        elif candidate.type == "srflx" and candidate.protocol == "udp":
            self._found(number, str(candidate.address))

    def _found(self, number: int, address: str) -> None:
        self.close()
        self._emit(UdpProbed(number, address))
