"""Entries about relays: which there are, whether they answer, and what they cost."""

from dataclasses import dataclass
from typing import ClassVar

from pyapp.protocol.entries.entry import Entry
from pyapp.protocol.ice import IceError, parse_reported_url


@dataclass(frozen=True, slots=True)
class IceConfiguration(Entry):
    """The server's answer to `GET /ice`: the `urls`, with spaces between them, and `iceTransportPolicy`."""

    event: ClassVar[str] = "ice-configuration"
    key: ClassVar[str] = "urls"
    _mark = "<"

    urls: str
    policy: str

    def _says(self) -> str:
        return f"{len(self.urls.split())} ICE servers"


@dataclass(frozen=True, slots=True)
class NoIceConfiguration(Entry):
    """There is none; `code` is the server's, empty if it did not answer."""

    event: ClassVar[str] = "ice-configuration"
    key: ClassVar[str] = "reason"
    _mark = "!"

    reason: str
    code: str
    purpose: str

    def _says(self) -> str:
        return f"no ICE configuration: {self.reason}"


@dataclass(frozen=True, slots=True)
class WithoutRelays(Entry):
    """The page waits no longer for an ICE configuration."""

    event: ClassVar[str] = "ice-configuration"
    key: ClassVar[str] = "without"
    _mark = "!"

    without: bool

    def _says(self) -> str:
        return "no ICE configuration: going on without relays"


@dataclass(frozen=True, slots=True)
class RelaysUnknown(Entry):
    """The other side waits no longer for its ICE configuration."""

    event: ClassVar[str] = "relays-unknown"
    _mark = "<"

    def _says(self) -> str:
        return "the other side goes on without relays"


@dataclass(frozen=True, slots=True)
class RelaySuspected(Entry):
    """The other side says that the relay at `url` went silent."""

    event: ClassVar[str] = "relay-suspected"
    _mark = "<"

    url: str

    def _says(self) -> str:
        try:
            host = parse_reported_url(self.url).host
        except IceError:
            return "a relay did not answer any more"
        return f"the relay {host} did not answer any more"


@dataclass(frozen=True, slots=True)
class RelayWell(Entry):
    """A relay that had gone silent answers again."""

    event: ClassVar[str] = "relay-well"

    host: str

    def _says(self) -> str:
        return f"the relay {self.host} answers again"


_STANDBY_OVER = {
    "anew": "the other side begins anew",
    "channel-closed": "the channel closed",
    "credentials-renewed": "the relays' credentials were renewed",
    "failed": "the connection failed",
    "late": "it took too long",
    "misplaced": "its server carries the path in use, or is not configured any more",
    "needless": "no relay is in use any more",
    "no-candidate": "the relay gave no candidate",
    "over": "the connection is over",
    "silent": "it was silent in the outage",
}


@dataclass(frozen=True, slots=True)
class Standby(Entry):
    """The second path, through `host`, is ready; or it is closed, with a code for why."""

    event: ClassVar[str] = "standby"

    open: bool
    host: str
    reason: str = ""

    def _says(self) -> str:
        if self.open:
            return f"a second path, through {self.host}, is ready"
        return f"no second path through {self.host}: {_STANDBY_OVER.get(self.reason, self.reason)}"


@dataclass(frozen=True, slots=True)
class StandbyUsed(Entry):
    """Messages go over the second path."""

    event: ClassVar[str] = "standby-used"

    host: str

    def _says(self) -> str:
        return f"messages went over the second path, through {self.host}"


@dataclass(frozen=True, slots=True)
class Budget(Entry):
    """What the budget for relays allows now; as in `Cost`."""

    event: ClassVar[str] = "budget"
    _mark = "<"

    step: str
    scope: str
    share: float
    video: int

    def _says(self) -> str:
        if not self.scope:
            return "the budget for relays is not in use"
        return f"the budget for relays: {self.share:.0%} used"
