"""The check of the network: each server on its own, the NAT, and what the relays carry. Pure.

    asking   --the list of servers-->                         running
    asking   --a refusal, or no answer-->                     done
    running  --nothing is left to try, or time is up-->       done
    any      --stop-->                                        done

It opens connections of its own, for all URLs in parallel, and closes them all at the end. Whatever would disturb a
measurement waits until that is over: first pings through each relay, then one transfer per host, then one ICE restart.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from pyapp.core import commands, events
from pyapp.core.check.findings import Findings, TheirFacts
from pyapp.core.check.mapping import MappingTrial
from pyapp.core.check.report import report
from pyapp.core.check.trial import Trial
from pyapp.core.check.verdict import Verdict, judge
from pyapp.core.commands import Command
from pyapp.core.failures import Refusal
from pyapp.core.peers import PeerIds
from pyapp.core.timers import CheckTimer
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.signaling import HeldPlace

TIMER = CheckTimer.TICK

TICK_EVERY = 0.05
"""Seconds between ticks, and so between pings."""

ALL_FOR = 11.5
"""Seconds for the whole check."""

FILL_UNTIL = 9.0
"""Seconds after which no further transfer or restart is started."""

SETTLED_AFTER = 1.2
"""Seconds after which a server that has not answered no longer holds up the others."""

_TRANSPORTS = ("udp", "tcp", "tls")

StepName = Literal["server", "urls", "relays", "restart"]
StepState = Literal["waiting", "running", "done"]


@dataclass(slots=True)
class Check:
    """One check. `number` tells its answers from those of an earlier one; `unix` is when it began (Unix time).

    `session` and `place` say on whose behalf the servers are asked for, `them` what is known of the other side.
    """

    number: int
    names: PeerIds
    session: str = ""
    place: HeldPlace | None = None
    unix: float = 0.0
    them: TheirFacts | None = None
    state: Literal["asking", "running", "done"] = "asking"
    found: Findings = field(init=False)
    verdict: Verdict | None = None
    """At the end, unless it was stopped."""
    identifier: str | None = None
    """The server keeps the report under this; empty if it keeps none, None while that is unknown."""
    revision: int = 0
    """Changes with everything that can be shown."""
    trials: list[Trial] = field(init=False, default_factory=list)
    _mapping: MappingTrial = field(init=False)
    _filled: set[str] = field(init=False, default_factory=set)
    """The hosts whose throughput was measured."""
    _has_restarted: bool = field(init=False, default=False)
    _began: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Begin with nothing found."""
        self.found = Findings(unix=self.unix, them=self.them)
        self._mapping = MappingTrial(self.names)

    def begin(self, now: float) -> list[Command]:
        """Ask the server for all ICE servers, and for a WebSocket."""
        self._began = now
        return [
            commands.AskCheckServers(self.number, self.session, self.place),
            commands.TryWebSocket(self.number),
            commands.StartTimer(TIMER, TICK_EVERY),
        ]

    def receive(self, event: events.CheckEvent | events.OfPeer, now: float) -> list[Command]:
        """Handle an answer, or an event of one of our connections."""
        match event:
            case events.CheckServersReceived(number, configuration, seen) if number == self.number:
                return self._provided(configuration, dict(seen), now) if self.state == "asking" else []
            case events.CheckServersFailed(number, code, reason) if number == self.number:
                if self.state == "asking":
                    self.found.refusal = Refusal(code, reason)
                    return self._finish(now)
            case events.WebSocketTried(number, obstacle) if number == self.number and self.state != "done":
                self.found.websocket, self.found.obstacle = obstacle is None, obstacle
                self.revision += 1
            case events.CheckReportKept(number, identifier) if number == self.number:
                self.identifier = identifier
                self.revision += 1
            case events.OfPeer():
                return self._of_peer(event, now)
        return []

    def owns(self, event: events.OfPeer) -> bool:
        """Whether it is an event of one of our connections."""
        peer = event.peer
        return peer == self._mapping.peer or any(trial.owns(peer) for trial in self.trials)

    def tick(self, now: float) -> list[Command]:
        """Go on (timer `TIMER`)."""
        if self.state == "done":
            return []
        self.revision += 1
        if now - self._began >= ALL_FOR:
            return self._finish(now)
        result = [command for trial in self.trials for command in trial.tick(now)]
        result += self._mapping.review([trial.found for trial in self.trials], now)
        if self.state == "running":
            result += self._next(now)
        return result if self.is_over else [*result, commands.StartTimer(TIMER, TICK_EVERY)]

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.state == "done"

    def stop(self, now: float) -> list[Command]:
        """End it without a verdict."""
        if self.state == "done":
            return []
        self.found.was_stopped = True
        return self._finish(now)

    @property
    def steps(self) -> tuple[tuple[StepName, StepState], ...]:
        """How far it is, step by step."""
        if self.state == "asking":
            return ("server", "running"), ("urls", "waiting"), ("relays", "waiting"), ("restart", "waiting")
        over = self.state == "done"
        is_gathering = any(trial.state == "gathering" for trial in self.trials)
        is_measuring = any(trial.state in ("connecting", "measuring", "measured", "filling") for trial in self.trials)
        is_restarting = any(trial.state == "restarting" for trial in self.trials)
        return (
            ("server", "done"),
            ("urls", "running" if is_gathering and not over else "done"),
            ("relays", "done" if over or self._has_restarted else "running" if is_measuring else "waiting"),
            ("restart", "done" if over else "running" if is_restarting else "waiting"),
        )

    def _provided(self, configuration: IceConfiguration, seen: dict[str, str], now: float) -> list[Command]:
        self.state = "running"
        self.found.server, self.found.seen = now - self._began, seen
        self.trials = [
            Trial(self.names, replace(server, urls=(url,))) for server in configuration.servers for url in server.urls
        ]
        self.found.urls = [trial.found for trial in self.trials]
        self.revision += 1
        return [command for trial in self.trials for command in trial.begin(now)]

    def _of_peer(self, event: events.OfPeer, now: float) -> list[Command]:
        if event.peer == self._mapping.peer:
            return self._mapping.receive(event.event)
        for trial in self.trials:
            if trial.owns(event.peer):
                return trial.receive(event.peer, event.event, now)
        return []

    def _next(self, now: float) -> list[Command]:
        """Begin what is due: one transfer at a time, then the restart; or end."""
        is_late = now - self._began >= FILL_UNTIL
        if any(trial.is_busy or (trial.state == "gathering" and self._is_young(now)) for trial in self.trials):
            return []
        ready = sorted((trial for trial in self.trials if trial.state == "measured"), key=_preference)
        for trial in ready:
            if trial.found.url.host not in self._filled and not is_late:
                self._filled.add(trial.found.url.host)
                return trial.fill(now)
        if ready and not self._has_restarted and not is_late:
            self._has_restarted = True
            return ready[0].restart(now)
        result = [command for trial in ready for command in trial.close()]
        is_over = all(trial.state == "done" for trial in self.trials)
        if is_over and self._mapping.is_settled and self.found.websocket is not None:
            result += self._finish(now)
        return result

    def _is_young(self, now: float) -> bool:
        return now - self._began - (self.found.server or 0.0) < SETTLED_AFTER

    def _finish(self, now: float) -> list[Command]:
        """Close everything, judge, and tell the server."""
        found = self.found
        if self.state == "asking" and found.refusal is None and not found.was_stopped:
            found.refusal = Refusal("", f"GET /ice?check: no answer within {ALL_FOR} s")
        self.state = "done"
        self.revision += 1
        result: list[Command] = [commands.CancelTimer(TIMER)]
        for trial in self.trials:
            result += trial.close()
        result += self._mapping.close()
        if found.websocket is None:
            result.append(commands.GiveUpWebSocket())  # the session's next one would wait for it
        found.mapping = self._mapping.mapping
        found.families = set().union(self._mapping.families, *(one.families for one in found.urls))
        found.took = now - self._began
        if found.was_stopped:
            return result
        if found.websocket is None and found.refusal is None:
            found.websocket = False  # it did not open in time
        self.verdict = judge(found)
        if found.refusal is not None:
            self.identifier = ""  # whoever refuses the servers, or is not there, keeps nothing
            return result
        return [*result, commands.KeepCheckReport(self.number, self.session, self.place, report(found, self.verdict))]


def _preference(trial: Trial) -> tuple[int, float]:
    return _TRANSPORTS.index(trial.found.url.transport), trial.found.round_trip or 0.0
