"""What the server says: the ICE configuration, and signaling."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.signaling import ServerMessage


@dataclass(frozen=True, slots=True)
class IceConfigurationReceived:
    """`GET /ice` answered. `number` is that of the command."""

    number: int
    configuration: IceConfiguration


@dataclass(frozen=True, slots=True)
class IceConfigurationFailed:
    """`GET /ice` was not answered, or refused: `code` is that of the server's error, or empty.

    `number` is that of the command.
    """

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignalingOpened:
    """The WebSocket is open, and nothing has been sent on it. `socket` is that of the command, here and below."""

    socket: int


@dataclass(frozen=True, slots=True)
class SignalingClosed:
    """The WebSocket closed, or never opened. `code` as in RFC 6455, section 7.4."""

    socket: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SignalingReceived:
    """A message of the server."""

    socket: int
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class SignalingGarbled:
    """A frame of the server's that is not a valid message."""

    socket: int
    reason: str


ObstacleKind: TypeAlias = Literal["log-in", "foreign-origin", "blocked", "down", "offline"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What `GET /healthz` says of why no WebSocket opens.

    `log-in`: something on the way wants one; `foreign-origin`: the server does not know the page's address as its own;
    `blocked`: the server answers, so that only WebSockets do not get through; `down`: the server, or the proxy before
    it, does not work; `offline`: the browser has no network. `cause` is the technical one.
    """

    kind: ObstacleKind
    cause: str


@dataclass(frozen=True, slots=True)
class HealthTold:
    """`GET /healthz` was answered, or not."""

    obstacle: Obstacle


SignalingEvent: TypeAlias = SignalingOpened | SignalingClosed | SignalingReceived | SignalingGarbled | HealthTold
