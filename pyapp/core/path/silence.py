"""While the path is healthy: what a silence means.

a beat is late                               doubt: two more of ours, and the server is asked for a sign of life
so late that it cannot be chance             an alarm, unless the transport has received anything meanwhile
this page stood still                        no alarm: what came meanwhile is read first
the network may have changed                 the other side is asked for an echo; an alarm if there is none
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path.heartbeat import INTERVAL
from pyapp.core.path.outcomes import Doubted, Evidence, Outcome, no_alarm
from pyapp.core.path.vitals import STALL, Vitals
from pyapp.core.timers import RecoveryTimer

SILENCE = RecoveryTimer.SILENCE

DOUBT_AFTER = 0.4
"""The part of the patience after which there is doubt."""

LOOK_AFTER = 0.85
"""The part of the patience after which it is looked once more what the transport has received."""

LOOK_AGAIN = 0.06
"""Seconds, if not a round trip, between two looks that are compared: Chromium answers `getStats()` from a cache for
50 ms, and on a busy machine much later than it was asked, several at once."""

UNSEEN_AFTER = 1.0
"""Seconds after which a silence is believed although the browser does not say what was received."""

QUIET_AFTER = 120.0
"""Seconds in which nothing was said, shown or changed, after which beats slow down."""

BUSY_AFTER = 1.0
"""Seconds without a beat after which the other page is called busy, while its browser still answers."""

_AT_ONCE = 0.001
"""Seconds that a timer is not worth: the clock is no more exact than that."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The path is suspect: the last output, since it ends the state."""

    evidence: Evidence


Output: TypeAlias = PartCommand | Outcome | Alarm


@dataclass(slots=True)
class Listening:
    """What came since the last beat."""

    judged_at: float
    """When the silence is judged next."""
    has_stalled: bool = field(init=False, default=False)
    """Whether this page stood still: what came meanwhile was given the time to be read."""
    is_doubtful: bool = field(init=False, default=False)
    """Whether the beat is late."""
    packets: int | None = field(init=False, default=None)
    """How many the transport had received when it was looked at last since then."""
    packets_at: float = field(init=False, default=0.0)
    """When there were that many first."""
    was_compared: bool = field(init=False, default=False)
    """Whether it was compared since the last look was asked for."""
    peer_is_busy: bool = field(init=False, default=False)
    """Whether the other page has stood still for a while: its beats are missing, and its browser still answers."""

    def judge_in(self, seconds: float, now: float) -> list[PartCommand]:
        """Look by then what the transport has received, and judge."""
        self.judged_at = now + seconds
        self.was_compared = False
        return [commands.SampleStats(), commands.StartTimer(SILENCE, seconds)]

    def grace(self, vitals: Vitals, now: float) -> list[PartCommand | Outcome]:
        """If this page stood still, give what came meanwhile the time to be read, and the other side to answer."""
        late = now - self.judged_at
        if late <= STALL or self.has_stalled:
            return []
        self.has_stalled = True  # once: the timers of a hidden page are always late
        return [no_alarm("this page stalled", late), *self.judge_in(grace(vitals), now)]


@dataclass(frozen=True, slots=True)
class Question:
    """An echo that the other side was asked for, because something may have changed."""

    asked_at: float
    due: float


@dataclass(slots=True)
class Healthy:
    """The state in which beats come and go. Times are seconds on the runner's clock."""

    vitals: Vitals
    since: float
    """From when on it is news that the other side does not hear us."""
    listening: Listening
    is_quiet: bool = field(init=False, default=False)
    """Whether our beats are slow because nothing happens."""
    _active_at: float = field(init=False)
    """When something was said, shown, typed or changed last, here or there."""
    _alive_at: float = field(init=False, default=0.0)
    """When more packets were seen to have come without a beat: the silence counts from then."""
    _question: Question | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin with quick beats."""
        self._active_at = self.since

    def beat(self, now: float, *, wants_echo: bool = False) -> list[PartCommand]:
        """Send a beat; slowly when it is quiet."""
        self.is_quiet = now - self._active_at >= QUIET_AFTER
        at_least = self.vitals.pulse.quiet_interval if self.is_quiet else 0.0
        return self.vitals.beat(now, at_least=at_least, wants_echo=wants_echo)

    def active(self, now: float) -> list[PartCommand]:
        """Take it that something happens: beats are quick again, and say so, which wakes the other side, too."""
        self._active_at = now
        if not self.is_quiet:
            return []
        # Twice: if the only one were lost, the other side would wait for the next at the old pace.
        return [*self.beat(now), *self.beat(now), commands.SampleStats()]

    def negotiated(self, now: float) -> None:
        """Take it that a new ICE generation is agreed: beats are quick from the next one on."""
        self._active_at = now

    @property
    def peer_stood_still(self) -> bool:
        """Whether its browser gave a sign of life after its last beat."""
        return self._alive_at > (self.vitals.pulse.heard_at or 0.0)

    def judge(self, now: float) -> list[Output]:
        """Judge the silence (timer `SILENCE`)."""
        vitals, listening, outputs = self.vitals, self.listening, list[Output]()
        if waiting := listening.grace(vitals, now):
            self._alive_at = now + grace(vitals) - vitals.pulse.patience()
            listening.packets, listening.is_doubtful = None, True
            return [*waiting, *self.beat(now), *self.beat(now)]
        if self._question is not None:
            asked_at = self._question.asked_at
            if (answered := max(vitals.pulse.heard_at or 0.0, self._alive_at)) < asked_at:
                if (left := self._question.due - now) >= _AT_ONCE:
                    return [*listening.judge_in(left, now)]
                return self._look_again(-left, now) or [Alarm("no-echo")]
            what = "the network may have changed, and yet the other side answers"
            outputs.append(no_alarm(what, answered - asked_at))
            self._question = None
        silence, patience = vitals.pulse.silence(now), vitals.pulse.patience()
        # Any sign of life of the other side will do.
        if (left := patience - min(silence, now - self._alive_at)) < _AT_ONCE:
            return [*outputs, *(self._look_again(-left, now) or [Alarm("silence")])]
        if not listening.is_doubtful:
            # Two at once: the other side's SCTP acknowledges every second packet without delay (RFC 9260, section 6.2).
            listening.is_doubtful = True
            was_quiet, self._active_at = self.is_quiet, now
            outputs += [Doubted(), *self.beat(now, wants_echo=was_quiet), *self.beat(now)]
        if silence > BUSY_AFTER and not listening.peer_is_busy:
            listening.peer_is_busy = True
            outputs.append(no_alarm("the other page stands still, and its browser answers", silence))
        last_look = (1 - LOOK_AFTER) * patience
        return [*outputs, *listening.judge_in(left - last_look if left > 1.5 * last_look else left, now)]

    def sampled(self, packets: int, now: float) -> None:
        """Take how many packets the transport has received (`packetsReceived`, webrtc-stats, section 8.15).

        A page that stands still sends no beats, and its browser goes on: it acknowledges ours, checks ICE and sends the
        picture. So a silence is only one if nothing comes at all.
        """
        listening = self.listening
        if not listening.is_doubtful and self._question is None:
            return
        if listening.packets is None or packets > listening.packets:
            if listening.packets is not None:
                self._alive_at = now
            listening.packets, listening.packets_at = packets, now
        elif now - listening.packets_at >= self._look_again_after:
            listening.was_compared = True

    def _look_again(self, overdue: float, now: float) -> list[Output]:
        """Wait until it is known what was received, if a silence is `overdue` by so many seconds and that is not."""
        if self.listening.was_compared or overdue > UNSEEN_AFTER:
            return []
        # Two beats, for the same reason as above.
        return [*self.beat(now), *self.beat(now), *self.listening.judge_in(self._look_again_after, now)]

    @property
    def _look_again_after(self) -> float:
        return max(LOOK_AGAIN, self.vitals.trip)

    def ask(self, now: float) -> None:
        """Take it that the other side is asked for an echo at `now`."""
        self._question = Question(now, now + echo_patience(self.vitals))
        self.listening.packets = None


def grace(vitals: Vitals) -> float:
    """Return the seconds in which what came while this page stood still is read, and the other side can answer."""
    return max(STALL, vitals.trip + INTERVAL)


def echo_patience(vitals: Vitals) -> float:
    """Return the seconds that the other side has for an echo."""
    return (vitals.trip or INTERVAL) + INTERVAL
