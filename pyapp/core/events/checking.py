"""The check of the network. `number` is that of the command."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pyapp.core.events.server import Obstacle
from pyapp.protocol.ice import IceConfiguration


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """The person asks for a check; `session` is the name in the field."""

    session: str


@dataclass(frozen=True, slots=True)
class CheckStopRequested:
    """The person stops it, or closes its panel."""


@dataclass(frozen=True, slots=True)
class CheckServersReceived:
    """`GET /ice?check` answered: every configured URL, and what the server itself found at each (`seen`)."""

    number: int
    configuration: IceConfiguration
    seen: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckServersFailed:
    """It was not answered, or refused: as in `IceConfigurationFailed`. `code` is `offline` without a network."""

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class WebSocketTried:
    """A WebSocket to the server was opened, and closed again; or it was not, because of the `obstacle`."""

    number: int
    obstacle: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class CheckReportKept:
    """The server keeps the report under `identifier`; it is empty if the server does not."""

    number: int
    identifier: str


CheckEvent: TypeAlias = (
    CheckRequested | CheckStopRequested | CheckServersReceived | CheckServersFailed | WebSocketTried | CheckReportKept
)
