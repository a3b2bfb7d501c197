"""How good the connection is, by rules over what was measured lately. Unstable comes before lost.

A rule has two limits. Once it holds, it holds until its value is well below the limit, and for `CALM` seconds more, so
that the level does not flicker.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, get_args

from pyapp.core.diagnostics.live import Live
from pyapp.protocol.entries.sample import Sample

Level: TypeAlias = Literal["", "good", "fair", "unstable", "lost"]
Grade: TypeAlias = Literal["fair", "unstable"]
RuleId: TypeAlias = Literal[
    "lost", "silent", "recovered", "loss-in", "loss-out", "freezes", "late-beats", "round-trip", "jitter", "narrow"
]
"""In the order in which they are named if several hold: causes before what follows from them."""

CALM = 5.0
"""Seconds for which a rule that held still counts."""

LOOKED_BACK = 10.0
"""Seconds of samples, and of late beats, that the rules see."""

EASED = 0.7
"""The part of a limit below which a rule that held no longer does."""

REVIEWED_EVERY = 1.0
"""Seconds after which what held is looked at again, although nothing was measured."""

NARROW = 300_000
"""Bits per second: below it, what can be sent is too little for a clear picture."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds. `value` is in the rule's unit (`RULES`), or 0."""

    rule: RuleId
    grade: Grade | Literal["lost"]
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule over recent samples, the oldest first: its value and limits, in the same unit. None: not measured."""

    id: RuleId
    fair: float
    unstable: float
    value: Callable[[Sequence[Sample]], float | None]


class Health(Protocol):
    """What is known of the beats: the `Recovery` of a connection."""

    @property
    def is_suspect(self) -> bool:
        """Whether the path has stopped working, or may have."""

    @property
    def is_doubtful(self) -> bool:
        """Whether a beat is late."""


class Connected(Protocol):
    """A connection, as far as it matters here."""

    @property
    def recovery(self) -> Health:
        """Its health."""

    @property
    def established(self) -> bool:
        """Whether it was connected at least once."""

    @property
    def lost(self) -> bool:
        """Whether the person must be told that it does not work now."""


def _mean(samples: Sequence[Sample], of: Callable[[Sample], float | None]) -> float | None:
    """Return the mean over time."""
    total = seconds = 0.0
    for one in samples:
        if (value := of(one)) is not None:
            total += value * one.seconds
            seconds += one.seconds
    return total / seconds if seconds else None


def _frozen(samples: Sequence[Sample]) -> float | None:
    """Return the part of the time in which the picture stood still.

    A freeze that is longer than its sample began before: the camera was off.
    """
    frozen = sum(one.frozen_ms for one in samples if one.frozen_ms <= one.seconds * 1000)
    return frozen / 1000 / sum(one.seconds for one in samples)


def _narrowness(samples: Sequence[Sample]) -> float | None:
    last = samples[-1]
    return None if last.available is None or last.frames_out is None else NARROW / max(last.available, 1)


RULES = (
    Rule("loss-in", 0.03, 0.1, lambda samples: _mean(samples, lambda one: one.loss_in)),
    Rule("loss-out", 0.03, 0.1, lambda samples: _mean(samples, lambda one: one.loss_out)),
    Rule("round-trip", 300.0, 800.0, lambda samples: _mean(samples, lambda one: one.round_trip_ms)),
    Rule("jitter", 40.0, 120.0, lambda samples: _mean(samples, lambda one: one.jitter_ms)),
    Rule("freezes", 0.04, 0.15, _frozen),
    Rule("narrow", 1.0, 3.0, _narrowness),
)
"""Losses as fractions, round trip and jitter in milliseconds, freezes as a part of the time, narrow as a shortage."""

LATE_FAIR, LATE_UNSTABLE = 2, 4
"""Late beats within `LOOKED_BACK` that are too many for chance."""

_GRADES: tuple[Grade, ...] = ("fair", "unstable")
_ORDER: tuple[RuleId, ...] = get_args(RuleId)


@dataclass(slots=True)
class Quality:
    """The quality of the session's connection. Times are seconds on the runner's clock."""

    level: Level = field(init=False, default="")
    findings: tuple[Finding, ...] = field(init=False, default=())
    """Why it is no better; the worst first, each rule once."""
    latest: Sample | None = field(init=False, default=None)
    """The last sample of this connection, or None."""
    _held: dict[tuple[RuleId, Grade], tuple[float, float]] = field(init=False, default_factory=dict)
    """When a rule last held, and its value then."""
    _late: deque[float] = field(init=False, default_factory=deque)
    """When beats were late."""
    _was: tuple[bool, bool, bool, bool] = field(init=False, default=(False, False, False, False))
    """Whether it was there, lost, suspect and doubtful."""
    _seen: int = field(init=False, default=-1)
    """How much of the measurements was seen."""
    _reviewed_at: float = field(init=False, default=0.0)
    _since: float = field(init=False, default=-1.0)
    """When there was last no connection: what was measured before is not about this one."""

    def follow(self, connection: Connected | None, live: Live, now: float) -> None:
        """Look again, if anything has changed. It is called after each event."""
        if connection is None:
            is_now = (False, False, False, False)
        else:
            health, lost = connection.recovery, connection.lost
            is_there = connection.established or lost
            is_now = (is_there, lost, health.is_suspect, health.is_doubtful)
        is_due = self.level not in ("", "good") and now - self._reviewed_at >= REVIEWED_EVERY
        if is_now != self._was or live.count != self._seen or is_due:
            before, self._was, self._seen, self._reviewed_at = self._was, is_now, live.count, now
            self._review(before, live, now)

    def _review(self, before: tuple[bool, bool, bool, bool], live: Live, now: float) -> None:
        is_there, is_lost, is_suspect, is_doubtful = self._was
        if not is_there:
            self.level, self.findings, self.latest = "", (), None
            self._held.clear()
            self._late.clear()
            self._since = now
            return
        if is_lost:
            self.level, self.findings = "lost", (Finding("lost", "lost"),)
            self._held.clear()
            return
        if before[1]:
            self._hold("recovered", "unstable", 0.0, now)
        if is_suspect:
            self._hold("silent", "unstable", 0.0, now)
        self._count_late(now, is_new=is_doubtful and not before[3])
        if samples := [taken.sample for taken in live.since(now - LOOKED_BACK) if taken.at > self._since]:
            self.latest = samples[-1]
            for rule in RULES:
                if (value := rule.value(samples)) is not None:
                    self._judge(rule, value, now)
        self._held = {key: held for key, held in self._held.items() if now - held[0] <= CALM}
        found = dict[RuleId, Finding]()
        for grade in _GRADES:  # the worse one last
            found |= {rule: Finding(rule, grade, held[1]) for (rule, its), held in self._held.items() if its == grade}
        worst = sorted(found.values(), key=lambda one: (one.grade == "fair", _ORDER.index(one.rule)))
        self.findings, self.level = tuple(worst), worst[0].grade if worst else "good"

    def _count_late(self, now: float, *, is_new: bool) -> None:
        if is_new:
            self._late.append(now)
        while self._late and now - self._late[0] > LOOKED_BACK:
            self._late.popleft()
        if len(self._late) >= LATE_FAIR:
            self._hold("late-beats", "unstable" if len(self._late) >= LATE_UNSTABLE else "fair", len(self._late), now)

    def _judge(self, rule: Rule, value: float, now: float) -> None:
        for grade, limit in zip(_GRADES, (rule.fair, rule.unstable), strict=True):
            if value >= limit or ((rule.id, grade) in self._held and value >= EASED * limit):
                self._hold(rule.id, grade, value, now)

    def _hold(self, rule: RuleId, grade: Grade, value: float, now: float) -> None:
        self._held[rule, grade] = (now, value)
