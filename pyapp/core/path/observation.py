"""What `getStats()` says of the path in use: when it is sampled, and which samples go into the journal.

nothing is selected yet, or a restart settles    again in 0.2 s
the selected pair changed                        at once, and again in 0.1 s
all is well                                      every 2 s, or 10 s while it is quiet; 1 s while somebody looks
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.diagnostics.pace import Pace
from pyapp.core.diagnostics.path_report import PathReport, path_report
from pyapp.core.diagnostics.sampling import LEAST_SECONDS, Counters, counters, sample
from pyapp.core.negotiation.negotiation import Negotiation
from pyapp.core.negotiation.restarts import Restarts
from pyapp.core.path.facts import Output, PathChanged, Sampled
from pyapp.core.path.outage import Suspect
from pyapp.core.path.recovery import Recovery
from pyapp.core.timers import ObservationTimer
from pyapp.protocol import entries

STATS, STATS_SETTLED = ObservationTimer.STATS, ObservationTimer.STATS_SETTLED
KEEP_CHECKING = ObservationTimer.KEEP_CHECKING

STATS_AGAIN = 0.2
"""Seconds before the next sample while the browser names no selected candidate pair."""

STATS_SETTLED_AFTER = 0.1
"""Seconds before a second sample of a pair that changed: Chromium answers `getStats()` from a cache for 50 ms."""

STATS_EVERY, STATS_QUIET_EVERY = 2.0, 10.0
"""Seconds between two samples of `getStats()` while connected, and while it is quiet: a sample costs as much as ten
beats."""

STATS_WATCHED_EVERY = 1.0
"""The same while the diagnostics are open."""

MOST_UNTOLD = 4_000_000
"""Bytes over our relay of which the journal may not know yet: the server watches what relays cost by it."""

KEEP_CHECKING_AFTER = 1.0
"""Seconds that an ICE generation has to pair its candidates before the browser is made to keep checking: the candidate
used for it makes Chromium no longer pair the peer's candidates with later ones of ours."""


@dataclass(slots=True)
class Observation:
    """The observation of one connection, whose parts it uses."""

    agreed: Negotiation
    health: Recovery
    restarts: Restarts
    report: PathReport | None = field(init=False, default=None)
    """The last report."""
    stats: Mapping[str, Mapping[str, Any]] = field(init=False, default_factory=dict)
    """What `getStats()` last returned, by id."""
    is_watched: bool = field(init=False, default=False)
    """Whether somebody looks at the diagnostics."""
    established: bool = field(init=False, default=False)
    """Whether there were once a path and an open channel at the same time."""
    _fails: bool = field(init=False, default=False)
    """Whether the last `getStats()` failed."""
    _pace: Pace = field(init=False, default_factory=Pace)
    """The pace of the samples in the journal."""
    _counted: Counters | None = field(init=False, default=None)
    _journaled: Counters | None = field(init=False, default=None)
    """What was counted at the last sample, and at the last one in the journal."""
    _relay_rate: float = field(init=False, default=0.0)
    """Bytes a second over our relay, between the last two samples."""
    _kept_above: int | None = field(init=False, default=None)
    """The priority of the candidate that keeps the browser checking, or None before there is one."""

    def due(self, timer: ObservationTimer) -> list[Output]:
        """Do what the timer was set for."""
        match timer:
            case ObservationTimer.STATS | ObservationTimer.STATS_SETTLED:
                return [commands.SampleStats()]
            case ObservationTimer.KEEP_CHECKING:
                return self.keep_checking()
            case _:
                assert_never(timer)

    def pair_changed(self) -> list[Output]:
        """Sample at once, and again when Chromium's cache has expired."""
        return [commands.SampleStats(), *self.look_when_settled()]

    def look_when_settled(self) -> list[Output]:
        """Sample in a moment: the type of a candidate may have become known without an event."""
        return [commands.StartTimer(STATS_SETTLED, STATS_SETTLED_AFTER)]

    def look_soon(self) -> Command:
        """Sample again soon, while something is awaited."""
        return commands.StartTimer(STATS, STATS_AGAIN)

    def look_on(self, now: float) -> Command:
        """Sample from time to time: not every browser has an event for a new pair."""
        usual = STATS_QUIET_EVERY if self.health.is_quiet else STATS_EVERY
        usual = STATS_WATCHED_EVERY if self.is_watched else usual
        return commands.StartTimer(STATS, STATS_AGAIN if self.restarts.is_settling(now) else usual)

    def failed(self, error: str, now: float) -> list[Output]:
        """Sample again later, which otherwise the answer leads to; journal the first of several failures."""
        is_first, self._fails = not self._fails, True
        noted: list[Output] = [entries.OperationFailed("getStats", error)] if is_first else []
        return [*noted, self.look_on(now)]

    def answered(self) -> list[Output]:
        """Journal that `getStats()` works again, if it failed."""
        failed, self._fails = self._fails, False
        return [entries.OperationWorks("getStats")] if failed else []

    def watch(self, *, is_watched: bool) -> list[Output]:
        """Record whether somebody looks now, and sample at once if so."""
        self.is_watched = is_watched
        return [commands.SampleStats()] if is_watched and self.report is not None else []

    def unsteady(self, now: float) -> None:
        """Put more samples into the journal for a while: something is happening."""
        self._pace.changed(now)

    def take(self, report: PathReport, now: float) -> list[Output]:
        """Take a report, journal it, and tell whether the path has changed."""
        previous, self.report = self.report, report
        self.agreed.precedence.selected = report.priority >> 32
        self.health.sampled(report.packets_received, now)
        result = self._keep_checking_above(self.agreed.precedence.selected)
        if previous is None or _pair(previous) != _pair(report):
            self._pace.changed(now)
            result.append(report.entry())
            if not self.health.is_suspect:
                result.append(PathChanged())
        return result

    def measure(self, stats: Mapping[str, Mapping[str, Any]], now: float) -> list[Output]:
        """Tell what was counted since the last sample; from time to time, journal what was since the last one there."""
        before, report = self._counted, self.report
        self.stats = stats
        if report is None:
            return []
        is_other = before is not None and before.report.pair != report.pair
        result = self._left(before.report, stats, now) if before is not None and is_other else []
        if before is not None and not is_other and now - before.at < LEAST_SECONDS:
            return []
        after = self._counted = counters(stats, report, self.health.pulse, now)
        if before is None or is_other:
            self._journaled, self._relay_rate = after, 0.0
            return result
        self._relay_rate = max(report.relayed - before.report.relayed, 0) / (after.at - before.at)
        result.append(Sampled(sample(before, after)))
        is_due = self._pace.is_due(now)  # each sample is to be counted there
        return result + self.rest() if is_due or self._relayed_much() else result

    def _relayed_much(self) -> bool:
        told, counted = self._journaled, self._counted
        return bool(told and counted and counted.report.relayed - told.report.relayed >= MOST_UNTOLD)

    def _left(self, report: PathReport, stats: Mapping[str, Mapping[str, Any]], now: float) -> list[Output]:
        """Journal the last of a pair that is no longer in use: nobody asks for what it carried afterwards."""
        found = path_report(stats, report.pair)
        last = replace(found, likely_relay=report.likely_relay) if found else report
        self._counted = counters(stats, last, self.health.pulse, now)
        return self.rest()

    def rest(self, *, unseen: int = 0) -> list[Output]:
        """Journal what was counted since the last sample there, and `unseen` bytes over our relay."""
        since, self._journaled = self._journaled, self._counted
        if since is None or self._counted is None or since is self._counted:
            return []
        one = sample(since, self._counted)
        return [replace(one, relayed=one.relayed + unseen)]

    def closed(self, now: float) -> list[Output]:
        """Journal the rest before the connection is closed.

        What has gone over our relay since the last sample cannot be asked for any more, and would be missing in each
        connection: it is taken to be as much as before, until the path went silent.
        """
        if self._counted is None:
            return []
        state = self.health.state
        until = state.silent_since if isinstance(state, Suspect) else now
        seconds = min(max(until - self._counted.at, 0.0), STATS_QUIET_EVERY)
        unseen = round(self._relay_rate * seconds)
        if unseen:  # otherwise the last sample is not told again if the journal has it
            self._counted = replace(self._counted, at=self._counted.at + seconds)
        return self.rest(unseen=unseen)

    @property
    def is_of_latest(self) -> bool:
        """Whether the selected pair is of the last agreed ICE generation."""
        if self.report is None or self.agreed.state != "stable":
            return False
        return self.report.local.username_fragment in self.agreed.fragments[0]

    # The browser's connectivity checks.

    def generation_agreed(self) -> list[Output]:
        """Look for the selected pair of a new ICE generation."""
        self._kept_above = None
        return [self.look_soon(), *self.keep_checking_soon()]

    def keep_checking_soon(self) -> list[Output]:
        """Make the browser keep checking, once it has paired its candidates."""
        # Not before there is a connection: only the browser can say that there is none.
        return [commands.StartTimer(KEEP_CHECKING, KEEP_CHECKING_AFTER)] if self.established else []

    def keep_checking(self) -> list[Output]:
        """Prepare for the next outage: a path that appears then must not wait for the browser's next check."""
        if self.health.is_suspect or self.agreed.state != "stable":
            return self.keep_checking_soon()
        self._kept_above = 0  # the known selected pair may be of an older generation
        return [commands.SampleStats()]

    def _keep_checking_above(self, selected: int) -> list[Output]:
        """Renew the candidate that does it whenever the selected pair has a higher priority."""
        if self._kept_above is None or selected < self._kept_above:
            return []
        self._kept_above = selected + 1
        return [commands.KeepChecking(self._kept_above, self.agreed.precedence.network_cost)]


def _pair(report: PathReport) -> tuple[object, ...]:
    return report.pair, report.local, report.remote
