"""Entries about the session, the server, and the other side as the server sees it."""

from dataclasses import dataclass
from typing import ClassVar

from pyapp.protocol.entries.entry import Entry


@dataclass(frozen=True, slots=True)
class Entered(Entry):
    """The person entered a session; `policy` is `iceTransportPolicy`."""

    event: ClassVar[str] = "session"
    key: ClassVar[str] = "session"

    session: str
    policy: str

    def _says(self) -> str:
        return f"connecting to session {self.session}"


@dataclass(frozen=True, slots=True)
class HungUp(Entry):
    """The person left it."""

    event: ClassVar[str] = "session"

    def _says(self) -> str:
        return "hung up"


_REFUSALS = {
    "no-path": "no path was found between the two networks",
    "session-full": "two people were in the session already",
    "replaced": "the page was opened again in another tab",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Entry):
    """The session could not go on. `code` is the server's, or `no-path`; `cause` its words, or the errors of ICE."""

    event: ClassVar[str] = "failed"
    _mark = "!"

    code: str
    relay_only: bool | None = None
    problems: str | None = None
    """Servers that are known not to work, with what they said. None unless there was no path."""
    cause: str

    def _says(self) -> str:
        return f"the session could not go on, because {_REFUSALS.get(self.code, f'the server said {self.code}')}"


@dataclass(frozen=True, slots=True)
class Joined(Entry):
    """The server gave this page its place; as in `Welcome`."""

    event: ClassVar[str] = "signaling"
    key: ClassVar[str] = "alone"

    polite: bool
    alone: bool

    def _says(self) -> str:
        return "joined the session"


@dataclass(frozen=True, slots=True)
class NoWebSocket(Entry):
    """No WebSocket opens, and `GET /healthz` shows why."""

    event: ClassVar[str] = "signaling"
    key: ClassVar[str] = "obstacle"
    _mark = "!"

    obstacle: str
    cause: str

    def _says(self) -> str:
        return f"no WebSocket opens: {self.cause}"


@dataclass(frozen=True, slots=True)
class SignalingClosed(Entry):
    """The WebSocket closed, with the code of RFC 6455, section 7.4."""

    event: ClassVar[str] = "signaling"
    key: ClassVar[str] = "code"
    _mark = "!"

    code: int
    reason: str

    def _says(self) -> str:
        return "signaling closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalingProblem(Entry):
    """What the server sent is no message; or, if it is our `own`, it was not sent."""

    event: ClassVar[str] = "signaling"
    key: ClassVar[str] = "problem"
    _mark = "!"

    own: bool = False
    problem: str

    def _says(self) -> str:
        what = "not sent to the other side" if self.own else "the server sent what is no message"
        return f"{what}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Refused(Entry):
    """The server refused a message of this page."""

    event: ClassVar[str] = "refused"
    _mark = "!"

    code: str
    reason: str

    def _says(self) -> str:
        return f"the server refused: {self.reason}"


@dataclass(frozen=True, slots=True)
class Outdated(Entry):
    """The server has another build of the page."""

    event: ClassVar[str] = "outdated"

    build: str

    def _says(self) -> str:
        return "this page is older than the server"


_PEER = {
    "here": "the other side is here",
    "left": "the other side left",
    "away": "the server has lost the other side",
}


@dataclass(frozen=True, slots=True)
class Peer(Entry):
    """Where the other side is: `here`, `left`, `away`."""

    event: ClassVar[str] = "peer"
    _mark = "<"

    state: str

    def _says(self) -> str:
        return _PEER.get(self.state, "")


# What the server itself saw.


@dataclass(frozen=True, slots=True)
class ServerJoined(Entry):
    """A page took its place, from `address`; `name` is its person's."""

    event: ClassVar[str] = "server-joined"

    address: str
    name: str

    def _says(self) -> str:
        return "joined the session"


@dataclass(frozen=True, slots=True)
class ServerLeft(Entry):
    """A page gave up its place. `code` is that of its WebSocket, if that closed."""

    event: ClassVar[str] = "server-left"

    code: int | None = None

    def _says(self) -> str:
        return "left the session"


@dataclass(frozen=True, slots=True)
class ServerLost(Entry):
    """The WebSocket of a page closed without a goodbye."""

    event: ClassVar[str] = "server-lost"

    code: int

    def _says(self) -> str:
        return "lost the server"


@dataclass(frozen=True, slots=True)
class ServerError(Entry):
    """A message of a page was refused; `limit` names the limit, if it was one."""

    event: ClassVar[str] = "server-error"

    code: str
    message: str
    limit: str

    def _says(self) -> str:
        return f"was refused: {self.message}"
