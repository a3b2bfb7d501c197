"""A second path that is kept ready while the first is relayed: over another TURN server, idle until it is needed.

    closed      --a pause after it became wanted-->                describing  (an offer)
    closed      --the other side's offer-->                        describing  (an answer)
    describing  --all candidates are there: they go over-->        offered, or connecting
    offered     --the answer-->                                    connecting
    connecting  --the channel opens-->                             open
    any         --it fails, or takes too long-->                   closed, a longer pause each time
    any         --the path in use is direct, or over its host-->   closed

The side whose own relay carries the path in use offers, for it alone knows which one that is; if both relays do, the
impolite side. A browser that does not say it (Firefox) can only answer. It is an `RTCPeerConnection` of its own, since
ICE keeps one pair alive. Nobody is told of it but the journal: without it, everything is as it would be.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.events import SessionDescription
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol.ice import IceConfiguration, IceError, parse_reported_url
from pyapp.protocol.peer import StandbyDescription

TIMER = ConnectionTimer.STANDBY

ATTEMPT_FOR = 15.0
"""Seconds until the channel must be open: an allocation over TLS and a handshake, with room for what is lost."""

OPEN_AFTER = 0.5
"""Seconds before it is offered at first: what connects should have the network for itself."""

FIRST_PAUSE, LAST_PAUSE = 5.0, 300.0
"""Seconds after one that failed, doubling from the first to the last, and up to half as much at random."""

STEADY_AFTER = 30.0
"""Seconds for which it must have been open to count as no failure when it is lost."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a side knows of the path in use, and of where another could be."""

    configuration: IceConfiguration
    """With the servers that are to be tried first in front."""
    relay: str = ""
    """The URL of our relay on the path in use, or empty."""
    over_tcp: bool = False
    """Whether we reach that relay over TCP or TLS."""
    offers: bool = False
    """Whether it is for us to offer."""

    def hosts(self, avoid: str) -> tuple[str, ...]:
        """Return where a standby may be: not on the host of `avoid` (a URL), nor on our relay's unless to answer."""
        hosts = tuple(host for host in self.configuration.relay_hosts if host != _host(avoid))
        others = tuple(host for host in hosts if host != _host(self.relay))
        return others or (hosts if avoid else ())


@dataclass(frozen=True, slots=True)
class ToPeer:
    """A message for the other side."""

    message: StandbyDescription


@dataclass(frozen=True, slots=True)
class Ready:
    """Frames can be sent over it: `host` relays it here."""

    host: str


@dataclass(frozen=True, slots=True)
class Over:
    """It is closed, or was never open, and why: for the journal, and for who sends over it."""

    host: str
    why: str


Output: TypeAlias = Command | ToPeer | Ready | Over


@dataclass(slots=True)
class Standby:
    """The standby of one connection. `polite` as in the negotiation. Times are seconds on the runner's clock."""

    polite: bool = True
    state: Literal["closed", "describing", "offered", "connecting", "open"] = "closed"
    host: str = ""
    """Of its relay at this side."""
    _number: int = 0
    """Of the `RTCPeerConnection`s made for it here."""
    _answers: int = 0
    """The other side's attempt that this one answers, 0 for none: it is ours."""
    _avoid: str = ""
    """The URL of the relay that the offer names as the one in use."""
    _failures: int = 0
    _opened_at: float = 0.0

    def review(self, around: Surroundings) -> list[Output]:
        """Close it where it does not belong any more; begin to wait for the next one where one is missing."""
        outputs: list[Output] = []
        # Where its offer said to the side that answered it may be out of date, if it is for that side to offer now.
        if self.state != "closed" and self.host not in around.hosts("" if around.offers else self._avoid):
            outputs += self.close("its server carries the path in use, or is not configured any more")
        if self.state == "closed" and around.offers and around.hosts(""):
            pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LAST_PAUSE) if self._failures else OPEN_AFTER
            outputs.append(commands.StartTimer(TIMER, pause, spread=pause / 2, only_if_idle=True))
        return outputs

    def due(self, around: Surroundings | None, now: float) -> list[Output]:
        """Offer the next one, or give up the one under way (timer `TIMER`)."""
        if self.state != "closed":
            return self.failed(self._number, "it took too long", now)
        hosts = around.hosts("") if around else ()
        if around is None or not around.offers or not hosts:
            return []
        self._answers, self._avoid = 0, around.relay
        number, configuration = self._begin(around, hosts[self._failures % len(hosts)])
        return [commands.OfferStandby(number, configuration), commands.StartTimer(TIMER, ATTEMPT_FOR)]

    def said(self, message: StandbyDescription, around: Surroundings) -> list[Output]:
        """Take an offer or an answer of the other side.

        An offer takes the place of whatever is there, unless it crosses one of ours and we are the impolite side.
        """
        description = SessionDescription(message.type, message.sdp)
        if message.type == "answer":
            if self.state != "offered" or message.attempt != self._number:
                return []
            self.state = "connecting"
            return [commands.AcceptStandby(description)]
        if self.state in ("describing", "offered") and not self._answers and not self.polite:
            return []
        outputs = self._close("the other side begins anew") if self.state == "open" else []
        hosts = around.hosts(message.avoid)
        if not hosts:
            return outputs
        self._answers, self._avoid = message.attempt, message.avoid
        number, configuration = self._begin(around, hosts[0])
        return [
            *outputs,
            commands.AnswerStandby(number, configuration, description),
            commands.StartTimer(TIMER, ATTEMPT_FOR),
        ]

    def described(self, number: int, description: SessionDescription, now: float) -> list[Output]:
        """Send our description, if a relay gave us a candidate for it."""
        if number != self._number or self.state != "describing":
            return []
        if "\na=candidate:" not in description.sdp:
            return self.failed(number, f"the relay {self.host} gave no candidate", now)
        if self._answers:
            self.state = "connecting"
            return [ToPeer(StandbyDescription("answer", description.sdp, self._answers))]
        self.state = "offered"
        return [ToPeer(StandbyDescription("offer", description.sdp, number, self._avoid))]

    def opened(self, now: float) -> list[Output]:
        """Take it that the channel is open."""
        if self.state != "connecting":
            return []
        self.state = "open"
        self._opened_at = now
        return [commands.CancelTimer(TIMER), Ready(self.host)]

    def failed(self, number: int, why: str, now: float) -> list[Output]:
        """Give it up, and wait longer before the next; also when the other side has closed it."""
        if number != self._number or self.state == "closed":
            return []
        was_steady = self.state == "open" and now - self._opened_at > STEADY_AFTER
        self._failures = 0 if was_steady else self._failures + 1
        return self._close(why)

    def closed(self, now: float) -> list[Output]:
        """Take it that the channel closed: the other side has no more use for it, or began anew."""
        return self.failed(self._number, "the channel closed", now) if self.state == "open" else []

    def close(self, why: str) -> list[Output]:
        """Close it without blame: the next one, if it is still wanted, need not wait for long."""
        self._failures = 0
        return [] if self.state == "closed" else self._close(why)

    def _begin(self, around: Surroundings, host: str) -> tuple[int, IceConfiguration]:
        self.state = "describing"
        self.host = host
        self._number += 1
        return self._number, around.configuration.relay_at(host, over_tcp=around.over_tcp)

    def _close(self, why: str) -> list[Output]:
        self.state = "closed"
        return [commands.CancelTimer(TIMER), commands.CloseStandby(), Over(self.host, why)]


def _host(url: str) -> str:
    try:
        return parse_reported_url(url).host
    except IceError:  # the other side says anything; and a browser may not say which relay it uses
        return ""
