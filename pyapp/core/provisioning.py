"""The ICE configurations of a session: requested, renewed before they expire, requested again after a failure.

    first      the one without which there is no connection
    renewal    before the credentials expire; when it is there, a relay in use is left for the new ones
    spares     other relays beside one that went silent: nothing that works is touched for them

Requests are numbered, so that an answer can be matched to its purpose, and a late one to an earlier session.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.path.relays import Relays
from pyapp.core.timers import ProvisioningTimer
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.signaling import FATAL_CODES, HeldPlace

Purpose: TypeAlias = Literal["first", "renewal", "spares"]

RENEW, RETRY, LATE = ProvisioningTimer.RENEW, ProvisioningTimer.RETRY, ProvisioningTimer.LATE
TIMERS = tuple(ProvisioningTimer)

RETRY_AFTER, LAST_RETRY_AFTER = 2.0, 30.0
"""Seconds before `GET /ice` is repeated after a failure, doubling from the first to the last."""

LATE_AFTER, WITHOUT_AFTER = 5.0, 8.0
"""Seconds without a first configuration before the person is told what we wait for, and before we go on without relays:
two peers who need none can connect."""

RETRY_REFUSED_AFTER = 20.0
"""The same after a refusal. A restarted server does not know our place until we have joined again."""

MARGIN = 0.75
"""The fraction of its lifetime after which an ICE configuration is renewed."""


@dataclass(frozen=True, slots=True)
class Provided:
    """There is a new configuration, in `relays`. A renewal replaces one that is about to expire.

    The first one `is_late` if we have gone on without it.
    """

    is_renewal: bool
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class NotProvided:
    """The server refuses the first configuration: the code of its `Error`, and its reason."""

    code: str
    reason: str


Output: TypeAlias = Command | Entry | Provided | NotProvided


@dataclass(slots=True)
class _Ahead:
    """A request for `session` before Connect was pressed. Times are seconds."""

    session: str
    number: int
    """Number of the request; 0 once it has failed."""
    configuration: IceConfiguration | None = None
    configured_at: float = 0.0


@dataclass(slots=True)
class Provisioning:
    """The configurations of one session after the other; `relays` has their contents. Times are seconds."""

    relays: Relays
    place: HeldPlace | None = None
    """Ours, once we have one: it entitles us to a configuration when the invitation has expired."""
    is_configured: bool = False
    """Whether the first configuration has arrived, or we have gone on without it."""
    is_late: bool = False
    """Whether the first one is so late that the person should know."""
    is_without: bool = False
    """Whether we have gone on without it."""
    problem: str = ""
    """Why the last request failed, or empty."""
    _pause: float = field(init=False, default=RETRY_AFTER)
    _session: str = field(init=False, default="")
    """The session that is connected, or empty."""
    _ahead: _Ahead | None = field(init=False, default=None)
    _number: int = field(init=False, default=0)
    _latest: int = field(init=False, default=0)
    """Number of the request whose answer is in `relays`."""
    _asked: dict[int, Purpose] = field(init=False, default_factory=dict)
    _avoided: tuple[str, ...] = field(init=False, default=())
    """The hosts that the last request avoided."""
    _failed: set[Purpose] = field(init=False, default_factory=set)
    _renewal_due: float = field(init=False, default=math.inf)

    def is_ahead_for(self, session: str) -> bool:
        """Return whether a configuration for `session` was received or requested before Connect was pressed."""
        return self._ahead is not None and self._ahead.session == session and self._ahead.number > 0

    def prepare(self, session: str) -> list[Command]:
        """Request what Connect will need. Connect repeats a refused request, and only then is the person told."""
        command = self._fetch(session)
        self._ahead = _Ahead(session, command.number)
        return [command]

    def begin(self, session: str, now: float) -> list[Output]:
        """Get the first configuration of `session`, using what was prepared for it."""
        self.is_late = self.is_without = False
        self.problem, self._pause = "", RETRY_AFTER
        return [*self._begin(session, now), *([] if self.is_configured else [commands.StartTimer(LATE, LATE_AFTER)])]

    def _begin(self, session: str, now: float) -> list[Output]:
        ahead, self._ahead = self._ahead, None
        self._session, self.is_configured, self._renewal_due = session, False, math.inf
        if ahead is None or ahead.session != session or not ahead.number:
            return self._ask("first")
        if ahead.configuration is None:
            self._asked[ahead.number] = "first"
            return []
        age = now - ahead.configured_at
        if age >= (ahead.configuration.lifetime or math.inf) * MARGIN:
            return self._ask("first")
        return self._take(ahead.number, "first", ahead.configuration, now, age=age)

    def end(self) -> list[Output]:
        """Stop requesting: the session is over, or new credentials would be of no use."""
        self._session, self.place = "", None
        self._asked.clear()
        self._failed.clear()
        return [commands.CancelTimer(name) for name in TIMERS]

    def due(self, timer: ProvisioningTimer) -> list[Output]:
        """Do what the timer was set for."""
        match timer:
            case ProvisioningTimer.RENEW:
                return self.renew()
            case ProvisioningTimer.RETRY:
                return self.retry()
            case ProvisioningTimer.LATE:
                return self.late()
            case _:
                assert_never(timer)

    def late(self) -> list[Output]:
        """Report that the first configuration is late, and a little later go on without it (timer `LATE`)."""
        if self.is_configured:
            return []
        if not self.is_late:
            self.is_late = True
            return [commands.StartTimer(LATE, WITHOUT_AFTER - LATE_AFTER)]
        if self.relays.policy == "relay":
            return []  # without relays there can be no path
        self.is_configured = self.is_without = True
        return [
            entries.WithoutRelays(without=True),
            Provided(is_renewal=False),
        ]

    def want_spares(self) -> list[Output]:
        """Request other relays than those that went silent."""
        return self._ask("spares")

    def slept(self, seconds: float) -> list[Output]:
        """Account for `seconds` that `now` does not count, and request again: older requests may be dead."""
        self.relays.slept(seconds)
        self._renewal_due -= seconds
        if self._ahead is not None:
            self._ahead.configured_at -= seconds
        self._asked.clear()
        return self._ask("renewal" if self.is_configured else "first")

    def renew(self) -> list[Output]:
        """Renew the configuration before it expires (timer `RENEW`)."""
        return self._ask("renewal")

    def retry(self) -> list[Output]:
        """Repeat what failed (timer `RETRY`); one answer serves every purpose."""
        purposes: tuple[Purpose, ...] = ("first", "renewal", "spares")
        purpose = next((purpose for purpose in purposes if purpose in self._failed), None)
        self._failed.clear()
        return [] if purpose is None else self._ask(purpose)

    def received(self, number: int, configuration: IceConfiguration, now: float) -> list[Output]:
        """Take an answer."""
        if self._ahead is not None and number == self._ahead.number:
            self._ahead.configuration, self._ahead.configured_at = configuration, now
            return []
        if number not in self._asked:
            return []  # requested for a session that is over
        return self._take(number, self._asked.pop(number), configuration, now)

    def failed(self, number: int, code: str, reason: str) -> list[Output]:
        """Handle a missing answer or a refusal: the present configuration stays in use until the next try."""
        if self._ahead is not None and number == self._ahead.number:
            self._ahead.number = 0
            return []
        if number not in self._asked:
            return []
        purpose = self._asked.pop(number)
        self.problem = reason
        noted = entries.NoIceConfiguration(reason, code, purpose)
        is_refused = code in FATAL_CODES
        if is_refused and purpose == "first":
            return [noted, NotProvided(code, reason)]
        self._failed.add(purpose)
        after, self._pause = self._pause, min(self._pause * 2, LAST_RETRY_AFTER)
        after = max(after, RETRY_REFUSED_AFTER) if is_refused else after
        return [noted, commands.StartTimer(RETRY, after, spread=after / 2)]

    def _take(
        self, number: int, purpose: Purpose, configuration: IceConfiguration, now: float, *, age: float = 0.0
    ) -> list[Output]:
        is_first, is_renewal = not self.is_configured, purpose == "renewal"
        is_late, self.is_without, self.is_late = self.is_without, False, False
        self.is_configured, self.problem, self._pause = True, "", RETRY_AFTER
        if number < self._latest:
            # It is an older answer: it avoids fewer silent relays, and its credentials are no newer.
            return [Provided(is_renewal)] if is_renewal else []
        self._latest = number
        self._failed = self._failed - {"spares"} if purpose == "spares" else set()
        self.relays.configured(configuration, now - age)
        urls = [url for server in configuration.servers for url in server.urls]
        policy = self.relays.policy
        result: list[Output] = [entries.IceConfiguration(" ".join(urls), policy)]
        if not self._failed:
            result.append(commands.CancelTimer(RETRY))
        if is_first:
            result.append(commands.CancelTimer(LATE))
        if configuration.lifetime is not None:
            due = now + configuration.lifetime * MARGIN - age
            # The relay in use may still have the credentials of an earlier configuration, which expire sooner.
            self._renewal_due = due if is_renewal or is_first else min(due, self._renewal_due)
            result.append(commands.StartTimer(RENEW, max(self._renewal_due - now, 0.0)))
        return [*result, Provided(is_renewal, is_late)]

    def _ask(self, purpose: Purpose) -> list[Output]:
        is_asked = purpose in self._asked.values()
        # The set of silent relays may have changed since spares were requested; everything else is requested once.
        if not self._session or (is_asked and (purpose != "spares" or self._avoided == self._avoid)):
            return []
        command = self._fetch(self._session)
        self._asked[command.number] = purpose
        return [command]

    def _fetch(self, session: str) -> commands.FetchIceConfiguration:
        self._number += 1
        place = self.place if self.place and self.place.session == session else None
        self._avoided = self._avoid
        return commands.FetchIceConfiguration(self._number, session, self._avoided, place)

    @property
    def _avoid(self) -> tuple[str, ...]:
        return tuple(sorted(self.relays.suspected))
