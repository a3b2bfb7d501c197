"""What a silence means while the path is healthy.

a beat is late                               doubt: two more of ours, and the server is asked for a sign of life
so late that it cannot be chance             an alarm, unless the transport has received anything meanwhile
the peer is heard over the standby           neither its page nor its network pauses: the alarm comes sooner
this page stood still                        no alarm: what came meanwhile is read first
the network may have changed                 the peer is asked for an echo; an alarm if there is none
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path.heartbeat import INTERVAL
from pyapp.core.path.outcomes import Doubted, Evidence, Outcome, no_alarm
from pyapp.core.path.vitals import CATCH_UP, STALL, Vitals
from pyapp.core.timers import RecoveryTimer

SILENCE = RecoveryTimer.SILENCE

DOUBT_AFTER = 0.4
"""The fraction of the patience after which there is doubt."""

LOOK_AFTER = 0.85
"""The fraction of the patience after which we check once more what the transport has received."""

LOOK_AGAIN = 0.06
"""Seconds between two samples that are compared; an RTT, if that is longer. Chromium answers `getStats()` from a cache
for 50 ms, and on a busy machine much later than the request, several answers at once."""

UNSEEN_AFTER = 1.0
"""Seconds after which a silence counts even if the browser does not say what was received."""

QUIET_AFTER = 120.0
"""Seconds without anything said, shown or changed after which beats slow down."""

BUSY_AFTER = 1.0
"""Seconds without a beat after which the peer's page counts as busy, while its browser still answers."""

MOST_STALLS = 8
"""How often in one silence a page that is visible may stall: on a busy machine it hardly runs between two stalls. A
hidden one may once, since its timers are always late. If the path is dead, the browser says so meanwhile."""

_AT_ONCE = 0.001
"""Seconds too short for a timer: the clock is no more precise than that."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The path is suspect. It is the last output, since it ends the state."""

    evidence: Evidence


Output: TypeAlias = PartCommand | Outcome | Alarm


@dataclass(slots=True)
class Listening:
    """What was observed since the last beat."""

    judged_at: float
    """When the silence is next judged."""
    stalls: int = field(init=False, default=0)
    """How often this page has stalled, and what arrived meanwhile was given time to be read."""
    is_doubtful: bool = field(init=False, default=False)
    """Whether the beat is late."""
    packets: int | None = field(init=False, default=None)
    """Packets that the transport had received at the last sample since then."""
    packets_at: float = field(init=False, default=0.0)
    """When that number was first seen."""
    awake_at: float | None = field(init=False, default=None)
    """When the peer's page was first heard over the standby after its beat was due."""
    was_compared: bool = field(init=False, default=False)
    """Whether a sample was compared since the last one was requested."""
    peer_is_busy: bool = field(init=False, default=False)
    """Whether the peer's page has stalled: its beats are missing, but its browser still answers."""

    def judge_in(self, seconds: float, now: float) -> list[PartCommand]:
        """Judge the silence in `seconds`, and sample by then what the transport has received."""
        self.judged_at = now + seconds
        self.was_compared = False
        return [commands.SampleStats(), commands.StartTimer(SILENCE, seconds)]

    def grace(self, vitals: Vitals, now: float) -> list[PartCommand | Outcome]:
        """If this page has stalled, give it time to read what arrived meanwhile, and the peer time to answer."""
        late = now - self.judged_at
        if late <= STALL or self.stalls >= (1 if vitals.is_hidden else MOST_STALLS):
            return []
        self.stalls += 1
        return [no_alarm("stalled", late), *self.judge_in(grace(vitals), now)]


@dataclass(frozen=True, slots=True)
class Question:
    """An echo requested from the peer, because something may have changed."""

    asked_at: float
    due: float


@dataclass(slots=True)
class Healthy:
    """The state in which beats arrive and are echoed. Times are seconds on the runner's clock."""

    vitals: Vitals
    since: float
    """The time from which it is news that the peer does not hear us."""
    listening: Listening
    is_quiet: bool = field(init=False, default=False)
    """Whether our beats are slow because the session is quiet."""
    _active_at: float = field(init=False)
    """When something was last said, shown, typed or changed, at either end."""
    _alive_at: float = field(init=False, default=0.0)
    """When packets, but no beats, were last seen to arrive: the silence counts from then."""
    _question: Question | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Start with fast beats."""
        self._active_at = self.since

    def beat(self, now: float, *, wants_echo: bool = False) -> list[PartCommand]:
        """Send a beat; the interval is longer when it is quiet."""
        self.is_quiet = now - self._active_at >= QUIET_AFTER
        at_least = self.vitals.pulse.quiet_interval if self.is_quiet else 0.0
        return self.vitals.beat(now, at_least=at_least, wants_echo=wants_echo)

    def active(self, now: float) -> list[PartCommand]:
        """Record activity: beats are fast again, and announce it, which wakes the peer, too."""
        self._active_at = now
        if not self.is_quiet:
            return []
        # Twice: if the only one were lost, the peer would expect the next at the old pace.
        return [*self.beat(now), *self.beat(now), commands.SampleStats()]

    def negotiated(self, now: float) -> None:
        """Record that a new ICE generation is agreed: beats are fast from the next one on."""
        self._active_at = now

    @property
    def peer_stood_still(self) -> bool:
        """Whether the peer's browser gave a sign of life after the last beat."""
        return self._alive_at > (self.vitals.pulse.heard_at or 0.0)

    def judge(self, now: float) -> list[Output]:
        """Judge the silence (timer `SILENCE`)."""
        vitals, listening, outputs = self.vitals, self.listening, list[Output]()
        if waiting := listening.grace(vitals, now):
            self._alive_at = now + grace(vitals) - vitals.pulse.patience()
            listening.packets, listening.is_doubtful = None, True
            self.since = now  # it is no news that the peer did not hear us meanwhile
            if not vitals.is_hidden:
                return [*waiting, vitals.catch_up(now)]
            return [*waiting, *self.beat(now), *self.beat(now)]
        if self._question is not None:
            asked_at = self._question.asked_at
            if (answered := max(vitals.pulse.heard_at or 0.0, self._alive_at)) < asked_at:
                if (left := self._question.due - now) >= _AT_ONCE:
                    return [*listening.judge_in(left, now)]
                return self._look_again(-left, now) or [Alarm("no-echo")]
            outputs.append(no_alarm("answered", answered - asked_at))
            self._question = None
        silence, patience = vitals.pulse.silence(now), self._patience
        # Any sign of life of the peer's will do.
        if (left := patience - min(silence, now - self._alive_at)) < _AT_ONCE:
            return [*outputs, *(self._look_again(-left, now) or [Alarm("silence")])]
        if not listening.is_doubtful:
            # Two at once: the peer's SCTP acknowledges every second packet without delay (RFC 9260, section 6.2).
            listening.is_doubtful = True
            was_quiet, self._active_at = self.is_quiet, now
            outputs += [Doubted(), *self.beat(now, wants_echo=was_quiet), *self.beat(now)]
        if silence > BUSY_AFTER and not listening.peer_is_busy:
            listening.peer_is_busy = True
            outputs.append(no_alarm("peer-stalled", silence))
        last_look = (1 - LOOK_AFTER) * patience
        return [*outputs, *listening.judge_in(left - last_look if left > 1.5 * last_look else left, now)]

    @property
    def _patience(self) -> float:
        pulse, awake_at = self.vitals.pulse, self.listening.awake_at
        if awake_at is None:
            return pulse.patience()
        # Its browser must have had the time to acknowledge on this path what we have sent since then.
        answers_by = awake_at + self._look_again_after - (pulse.heard_at or 0.0)
        return min(max(pulse.awake_patience(), answers_by), pulse.patience())

    def heard_aside(self, now: float) -> list[PartCommand]:
        """Record that the peer's page was heard over the standby: if it still sends no beat, this path is to blame."""
        listening, pulse = self.listening, self.vitals.pulse
        if listening.awake_at is not None or pulse.silence(now) < pulse.due:
            return []
        listening.awake_at = now
        if not listening.is_doubtful or self._question is not None:
            return []
        # Two beats for the same reason as in `judge`: what was acknowledged before may be in the first sample.
        left = max(self._patience - pulse.silence(now), _AT_ONCE)
        return [*self.beat(now), *self.beat(now), *listening.judge_in(min(left, self._look_again_after), now)]

    def sampled(self, packets: int, now: float) -> None:
        """Take the number of packets that the transport has received (`packetsReceived`, webrtc-stats, section 8.15).

        A stalled page sends no beats, but its browser goes on: it acknowledges ours, sends connectivity checks and
        media. So it is only a silence if nothing arrives at all.
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
        """Wait for a sample of what was received, if there is none; the silence is `overdue` by so many seconds."""
        if self.listening.was_compared or overdue > UNSEEN_AFTER:
            return []
        # Two beats, for the same reason as above.
        return [*self.beat(now), *self.beat(now), *self.listening.judge_in(self._look_again_after, now)]

    @property
    def _look_again_after(self) -> float:
        return max(LOOK_AGAIN, self.vitals.trip)

    def ask(self, now: float) -> None:
        """Record that the peer is asked for an echo at `now`."""
        self._question = Question(now, now + echo_patience(self.vitals))
        self.listening.packets = None


def grace(vitals: Vitals) -> float:
    """Return the seconds in which this page, after a stall, reads what arrived, and the peer can answer."""
    return max(STALL, CATCH_UP + vitals.trip + INTERVAL)


def echo_patience(vitals: Vitals) -> float:
    """Return the seconds that the peer has for an echo."""
    return (vitals.trip or INTERVAL) + INTERVAL
