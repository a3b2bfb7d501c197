"""When the path is suspect, what to try next, and when it is proven that it works again.

    idle     --the heartbeat channel opens-->                      healthy
    healthy  --silence, a change of the network, bad news-->       suspect: a new socket, an ICE restart, messages held
    suspect  --a beat arrives-->                                   suspect, messages go on
    suspect  --and the selected pair is of the new generation-->   healthy
    suspect  --and that pair falls silent before-->                suspect, from the first rung
    suspect  --an attempt's deadline passes-->                     suspect, the next rung of the ladder

An attempt counts only while the server can be reached: without it an offer would reach nobody, and climbing the ladder
would prove nothing.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.path.heartbeat import HIDDEN_INTERVAL, HIDDEN_TICK, INTERVAL, LATE, Pulse
from pyapp.core.timers import RecoveryTimer
from pyapp.protocol.channel import decode_beat

BEAT, SILENCE = RecoveryTimer.BEAT, RecoveryTimer.SILENCE
ATTEMPT, LOST, SETTLE = RecoveryTimer.ATTEMPT, RecoveryTimer.LOST, RecoveryTimer.SETTLE
TIMERS = tuple(RecoveryTimer)

FIRST_DEADLINE, LAST_DEADLINE = 0.6, 8.0
"""Seconds that an attempt has, growing from the first to the last."""

POLITE_EXTRA = 0.3
"""Seconds that the polite side waits longer, so that two sides do not start their second attempts together."""

CONCEDED = 0.1
"""Seconds, beside one round trip, that the polite side leaves to the other's first offer when both have heard nothing:
offers that cross cost a rollback, and candidates that are gathered twice."""

DOUBT_AFTER = 0.4
"""The part of the patience after which there is doubt."""

LOST_AFTER = 1.0
"""Seconds of suspicion after which the person is told."""

LOOK_AFTER = 0.85
"""The part of the patience after which it is looked once more what the transport has received."""

QUIET_AFTER = 120.0
"""Seconds in which nothing was said, shown or changed, after which beats slow down."""

STALL = 0.15
"""Seconds by which a timer of our own may be late before the silence is our own stall, and not the other side's."""

CATCH_UP = 0.03
"""Seconds in which a page that stood still reads what came meanwhile, before it says how long it heard nothing."""

SETTLE_AFTER = 0.015
"""Seconds: the browser's change events come in pairs a few milliseconds apart."""

SUSPECT_INTERVAL = 0.25
"""Seconds between beats once an outage has lasted a second: beats too must fit into one packet's window."""

Evidence: TypeAlias = Literal[
    "silence",
    "not-heard",
    "no-echo",
    "network-changed",
    "disconnected",
    "failed",
    "channel-closed",
]

Rung: TypeAlias = Literal["restart", "relay-only", "tcp-only", "new-connection"]

LADDER: tuple[Rung, ...] = ("restart", "restart", "restart", "relay-only", "tcp-only", "new-connection")
"""What each attempt tries; after the last one, from the beginning, with longer and longer deadlines."""


CLOSED_LADDER: tuple[Rung, ...] = ("restart", "new-connection")
"""The same when the channel itself is gone: the first attempt only gives a goodbye the time to arrive."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """A beat is late, and not late enough for a suspicion: find out whether the server could be reached."""


@dataclass(frozen=True, slots=True)
class Reassured:
    """The beat that was late has come: the doubt is over."""


@dataclass(frozen=True, slots=True)
class Suspected:
    """The path no longer works, or may not: hold messages, and reach the server anew."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Attempt:
    """Try `rung`."""

    rung: Rung
    number: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """What we say is heard again: send what was held."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """It is proven that the path works again, `seconds` after the last sign of life before."""

    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """A decision against an alarm: for the journal."""

    what: str
    seconds: float


Outcome: TypeAlias = Doubted | Reassured | Suspected | Attempt | Resumed | Recovered | Noticed
Output: TypeAlias = Command | Outcome


@dataclass(slots=True)
class Recovery:
    """The health of one connection. `polite` as in the negotiation. Times are seconds on the runner's clock."""

    polite: bool = True
    state: Literal["idle", "healthy", "suspect"] = "idle"
    is_lost: bool = False
    """Whether the suspicion has lasted so long that the person must know."""
    is_hidden: bool = False
    peer_is_busy: bool = False
    """Whether the other page has stood still for a while: its beats are missing, and its browser still answers."""
    attempts: int = 0
    rung: Rung | None = None
    """What is being tried, in an outage."""
    evidence: Evidence = "silence"
    last_outage: float | None = None
    """Seconds that the last outage took."""
    pulse: Pulse = field(default_factory=Pulse)
    generation: int = 0
    """The ICE generation that was seen at work here."""
    peer_generation: int = 0
    """The same at the other side, by its beats."""
    silent_since: float = 0.0
    """When something was heard last before the outage that is, or was."""
    is_quiet: bool = False
    """Whether our beats are slow because nothing happens."""
    _active_at: float = 0.0
    """When something was said, shown, typed or changed last, here or there."""
    _suspected_at: float = 0.0
    _resumed: bool = False
    """Whether something was heard since the suspicion."""
    _is_heard: bool = False
    """Whether something that was said since then came back."""
    _came_up: bool = False
    """Whether something was heard with a pair of the attempt's generation."""
    _suspected_number: int = 0
    """The number of the last beat before it."""
    _resumed_at: float = 0.0
    _silence_due: float = 0.0
    _stalled: bool = False
    _doubted: bool = False
    _packets: int | None = None
    """How many the transport had received when it was looked at last since the doubt began."""
    _alive_at: float = 0.0
    """When more of them were seen to have come without a beat: the silence counts from then."""
    _beat_due: float = 0.0
    _attempted_at: float | None = None
    _restarted_from: int = 0
    _healthy_since: float = 0.0
    _negotiated: int = 0
    _negotiated_at: float | None = None
    _proof: int = 0
    """The number of the last beat that was sent before the pair in use was selected."""
    _echoed: int = 0
    _sampled_at: float = 0.0
    _asked_at: float | None = None
    """When the other side was asked for an echo, because something may have changed."""
    _echo_due: float = 0.0
    _is_open: bool = False

    def due(self, timer: RecoveryTimer, now: float, *, server_heard: float, peer_heard: float) -> list[Output]:
        """Do what the timer was set for; `server_heard` and `peer_heard` as in `attempt_over`."""
        match timer:
            case RecoveryTimer.BEAT:
                return self.beat(now)
            case RecoveryTimer.SILENCE:
                return self.silent(now)
            case RecoveryTimer.SETTLE:
                return self.network_settled(now)
            case RecoveryTimer.LOST:
                return self.lost()
            case RecoveryTimer.ATTEMPT:
                return self.attempt_over(now, server_heard=server_heard, peer_heard=peer_heard)
            case _:
                assert_never(timer)

    def channel_opened(self, now: float) -> list[Output]:
        """Begin to beat and to listen."""
        self._is_open = True
        self._active_at = now
        self.pulse.listen(now)
        if self.state == "idle":
            self.state = "healthy"
            self._healthy_since = now
        return [*self._beat(now), self._listen(now)]

    def channel_closed(self, now: float) -> list[Output]:
        """Suspect the connection as a whole: a channel does not open again."""
        self._is_open = False
        self.evidence = "channel-closed"  # also of an outage that is under way: its ladder is another one from now on
        return self.suspect("channel-closed", now)

    def muted(self) -> list[Output]:
        """Beat no more: the channel for it is closed, and that of the messages is about to."""
        self._is_open = False
        return [commands.CancelTimer(BEAT)]

    def beat(self, now: float) -> list[Output]:
        """Send the next beat (timer `BEAT`)."""
        if self.state == "idle":
            return []
        if now - self._beat_due > STALL and not self.is_hidden:
            # We were not running ourselves, and what came meanwhile is still to be read.
            self._beat_due = now + CATCH_UP
            self._healthy_since = now
            return [commands.StartTimer(BEAT, CATCH_UP)]
        return self._beat(now)

    def active(self, now: float) -> list[Output]:
        """Take it that something happens: beats are quick again, and say so, which wakes the other side, too."""
        self._active_at = now
        if not self.is_quiet or self.state != "healthy":
            return []
        # Twice: if the only one were lost, the other side would wait for the next at the old pace.
        return [*self._beat(now), *self._beat(now), commands.SampleStats()]

    def heard(self, text: str, now: float) -> list[Output]:
        """Take a beat of the other side. Raises `MessageError` for what is none."""
        beat = decode_beat(text)
        silence, patience, was_slow = self.pulse.silence(now), self.pulse.patience(), self.pulse.due > INTERVAL
        # A page that stands still, theirs or ours, says nothing of the path.
        we_stood_still = not self.is_hidden and now - self._beat_due > STALL
        is_telling = self.state != "suspect" and not we_stood_still and self._alive_at <= (self.pulse.heard_at or 0.0)
        self.pulse.heard(beat, now, in_outage=not is_telling)
        if we_stood_still:
            self._healthy_since = now  # that they have not heard us since then is no news
        self.peer_generation = beat.generation
        was_doubted = self._doubted and self.state == "healthy"
        outputs: list[Output] = [self._listen(now), *([Reassured()] if was_doubted else [])]
        if was_slow and self.pulse.due <= INTERVAL:
            outputs += self.active(now)
        if beat.wants_echo:
            outputs += self._beat(now)
        self._echoed = max(self._echoed, beat.echo)
        if self.state == "suspect":
            self._came_up = self._came_up or self.generation > self._restarted_from
            return outputs + self._sign_of_life(now)
        expected = max(self.pulse.patience(), (self.pulse.chance + 1) * HIDDEN_TICK if self.is_hidden else 0.0)
        if beat.echo and expected < beat.held / 1000 < now - self._healthy_since:
            # A path that is deaf one way only is known at both ends at once.
            return outputs + self.suspect("not-heard", now)
        if (was_doubted or silence > 0.6 * patience) and silence < LOST_AFTER and self.state == "healthy":
            outputs.append(Noticed("a late heartbeat, not late enough", silence))
        return outputs

    def silent(self, now: float) -> list[Output]:
        """Judge the silence (timer `SILENCE`)."""
        if self.state != "healthy" and not self._came_up:
            return []
        if now - self._silence_due > STALL and not self._stalled:
            return self._stood_still(now)
        if self.state == "suspect":
            return self._silent_again(now)
        outputs: list[Output] = []
        if self._asked_at is not None:
            if (answered := max(self.pulse.heard_at or 0.0, self._alive_at)) < self._asked_at:
                return self._no_echo(now)
            what = "the network may have changed, and yet the other side answers"
            outputs.append(Noticed(what, answered - self._asked_at))
            self._asked_at = None
        patience = self.pulse.patience()
        if (left := patience - self._quiet(now)) <= 0:
            return self.suspect("silence", now)
        if not self._doubted:
            # Two at once: the other side's SCTP acknowledges every second packet without delay (RFC 9260, section 6.2).
            self._doubted = True
            self._active_at = now
            outputs += [Doubted(), *self._beat(now, wants_echo=self.is_quiet), *self._beat(now)]
        if self.pulse.silence(now) > LOST_AFTER and not self.peer_is_busy:
            self.peer_is_busy = True
            outputs.append(Noticed("the other page stands still, and its browser answers", self.pulse.silence(now)))
        last_look = (1 - LOOK_AFTER) * patience
        return [*outputs, *self._judge_in(left - last_look if left > 1.5 * last_look else left, now)]

    def sampled(self, packets: int, now: float) -> None:
        """Take how many packets the transport has received (`packetsReceived`, webrtc-stats, section 8.15).

        A page that stands still sends no beats, and its browser goes on: it acknowledges ours, checks ICE and sends the
        picture. So a silence is only one if nothing comes at all.
        """
        if self.state != "healthy" or not (self._doubted or self._asked_at is not None):
            return
        if self._packets is not None and packets > self._packets:
            self._alive_at = now
        self._packets = packets

    def network_changed(self, now: float, *, certain: bool) -> list[Output]:
        """Take a change event of the browser; one that is not `certain` only makes us ask the other side."""
        if self.state == "idle":
            return []
        if certain:
            return [commands.StartTimer(SETTLE, SETTLE_AFTER, only_if_idle=True)]
        patience = (self.pulse.round_trip.smoothed or INTERVAL) + INTERVAL
        self._asked_at, self._echo_due, self._packets = now, now + patience, None
        return [*self._beat(now, wants_echo=True), *self._judge_in(LOOK_AFTER * patience, now)]

    def _no_echo(self, now: float) -> list[Output]:
        if (left := self._echo_due - now) > 0:
            return self._judge_in(left, now)
        self._asked_at = None
        return self.suspect("no-echo", now)

    def _stood_still(self, now: float) -> list[Output]:
        """Give what came while we were not running ourselves the time to be read, and the other side to answer."""
        self._stalled = True  # once: the timers of a hidden page are always late
        late = now - self._silence_due
        grace = max(STALL, (self.pulse.round_trip.smoothed or 0.0) + INTERVAL)
        self._alive_at = now + grace - self.pulse.patience()
        self._packets, self._doubted = None, True
        return [Noticed("this page stalled", late), *self._judge_in(grace, now)]

    def _judge_in(self, seconds: float, now: float) -> list[Output]:
        self._silence_due = now + seconds
        return [commands.SampleStats(), commands.StartTimer(SILENCE, seconds)]

    def _quiet(self, now: float) -> float:
        """Return the seconds since there was any sign of life of the other side."""
        return min(self.pulse.silence(now), now - self._alive_at)

    def network_settled(self, now: float) -> list[Output]:
        """Act on a change of the network (timer `SETTLE`): what was gathered before it is worth nothing."""
        if self.state != "suspect":
            return self.suspect("network-changed", now)
        self.evidence = "network-changed"
        self.attempts = 0
        self._attempted_at = None
        self._nothing_heard()
        return [commands.StartTimer(LOST, LOST_AFTER), Suspected("network-changed"), *self._attempt(now)]

    def suspect(self, evidence: Evidence, now: float) -> list[Output]:
        """Become suspicious, if that is news.

        Also of a connection whose beats never began: that it is lost must not go unnoticed for want of a heartbeat.
        """
        if self.state == "suspect":
            return []
        self.state = "suspect"
        self.evidence = evidence
        self.attempts = 0
        self._nothing_heard()
        self._attempted_at = None
        self._suspected_at = self._active_at = now
        self.silent_since = now if self.pulse.heard_at is None else self.pulse.heard_at
        self._restarted_from = self.generation
        return [
            commands.StartTimer(LOST, LOST_AFTER),
            Suspected(evidence),
            *self._beat(now),
            *self._first_attempt(now),
        ]

    def bad_news(self, evidence: Evidence, now: float) -> list[Output]:
        """Believe the browser that the connection is `disconnected` or `failed`, unless something is being heard.

        Firefox says `failed` for a moment after a restart, while the old path goes on.
        """
        silence = self.pulse.silence(now)
        if self.state == "idle" or silence > self.pulse.patience() / 2:
            return self.suspect(evidence, now)
        return [Noticed(f"the browser says {evidence}, and yet the other side is heard", silence)]

    def negotiated(self, generation: int, now: float) -> list[Output]:
        """Give the new ICE `generation` its time from now on, whoever asked for it."""
        self._negotiated, self._negotiated_at = generation, now
        self._active_at = now
        if self.state != "suspect" or self._resumed:
            return []
        self._attempted_at = now
        return [commands.StartTimer(ATTEMPT, self._deadline())]

    def lost(self) -> list[Output]:
        """Tell the person (timer `LOST`)."""
        self.is_lost = self.state == "suspect" and not self._resumed
        return []

    def server_is_back(self, now: float) -> list[Output]:
        """Try at once if what was tried before the server could be reached is too old to count."""
        if self.state != "suspect" or self._attempted_at is None:
            return []
        if now - self._attempted_at < self._deadline():
            return []
        return self._attempt(now)

    def attempt_over(self, now: float, *, server_heard: float, peer_heard: float) -> list[Output]:
        """Go on to the next rung (timer `ATTEMPT`).

        `server_heard` and `peer_heard` are when the server, and the other side through it, were heard last.
        """
        if self.state != "suspect":
            return []
        if self._is_heard and self.pulse.silence(now) < self.pulse.patience():
            # The old path works again both ways, and the restart did not get through: it was not needed.
            self.pulse.paused(self._resumed_at - self.silent_since)
            return self._recovered(now)
        if self.attempts == 0 and self._attempted_at is None:
            return self._attempt(now)  # the other side has made no offer
        told = self._interrupted()
        if server_heard < self._suspected_at:
            # It may have answered just before the network changed once more.
            return [*told, Doubted(), commands.StartTimer(ATTEMPT, self._deadline())]
        return told + self._attempt(now, peer_is_there=peer_heard > self._suspected_at)

    def proven(self, generation: int, now: float) -> list[Output]:
        """Take it that the selected pair is of `generation`."""
        if generation > self.generation:
            self.generation = generation
            self._proof = self.pulse.number
        return self._sign_of_life(now) if self.state == "suspect" and self._resumed else []

    def hidden(self, now: float, *, is_hidden: bool) -> list[Output]:
        """Beat slower in a hidden tab, and say so before its timers slow down."""
        self.is_hidden = is_hidden
        self._healthy_since = now  # how long the other side did not hear us before is of other timers
        # Twice: if the only one were lost, the other side would wait for the next at the old pace.
        return [] if self.state == "idle" else [*self._beat(now), *self._beat(now)]

    def _sign_of_life(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        if not self._resumed:
            self._resumed = True
            self._resumed_at = now
            self.is_lost = False
        if not self._is_heard and self._echoed > self._suspected_number:
            # Hearing is not being heard: what is sent into a dead path only fills the channel's window.
            self._is_heard = True
            outputs.append(Resumed())
        is_new = min(self.generation, self.peer_generation) > self._restarted_from
        if is_new and self._echoed > self._proof:
            # A beat that was sent on the new pair has come back.
            return outputs + self._recovered(now)
        if now - self._sampled_at >= INTERVAL:
            self._sampled_at = now
            outputs.append(commands.SampleStats())
        return outputs

    def _silent_again(self, now: float) -> list[Output]:
        """Begin from the first rung: the pair of this attempt did work, so the network has changed once more."""
        if (left := self.pulse.patience() - self.pulse.silence(now)) > 0:
            self._silence_due = now + left
            return [commands.StartTimer(SILENCE, left)]
        self.attempts = 0
        self._attempted_at = None
        concession = CONCEDED + (self.pulse.round_trip.smoothed or 0.0) if self.polite else 0.0
        return [*self._interrupted(), commands.StartTimer(ATTEMPT, concession)]

    def _interrupted(self) -> list[Output]:
        """Take back that it goes on again."""
        outputs: list[Output] = []
        if self._resumed:
            # A beat came through, and then no more: the person has not been told yet.
            outputs.append(commands.StartTimer(LOST, LOST_AFTER))
        if self._is_heard:
            # And messages went on.
            outputs.append(Suspected(self.evidence))
        self._nothing_heard()
        return outputs

    def _nothing_heard(self) -> None:
        self._resumed = self._is_heard = self._came_up = False
        self._suspected_number = self.pulse.number

    def _recovered(self, now: float) -> list[Output]:
        self.state = "healthy"
        self.is_lost = False
        self._healthy_since = self._active_at = now
        self.last_outage = (self.pulse.heard_at or now) - self.silent_since
        recovered = Recovered(self.last_outage, self.attempts)
        self.attempts = 0
        self.rung = None
        return [commands.CancelTimer(ATTEMPT), commands.CancelTimer(LOST), recovered, self._listen(now)]

    def _first_attempt(self, now: float) -> list[Output]:
        """Begin, unless somebody did: a restart that was just negotiated is undone by one of our own.

        Firefox is silent for half a second at each restart. Whoever has more reason to hurry does not wait so long.
        """
        answered_at, patience = self._negotiated_at, 2 * self._deadline()
        if answered_at is None or self.evidence == "network-changed" or now - answered_at > patience:
            if self.polite and self.evidence in ("silence", "not-heard"):
                return [commands.StartTimer(ATTEMPT, CONCEDED + (self.pulse.round_trip.smoothed or 0.0))]
            return self._attempt(now)
        self.attempts = 1
        self._attempted_at = answered_at
        self._restarted_from = self._negotiated - 1
        return [commands.StartTimer(ATTEMPT, answered_at + patience - now)]

    def _attempt(self, now: float, *, peer_is_there: bool = False) -> list[Output]:
        ladder = CLOSED_LADDER if self.evidence == "channel-closed" else LADDER
        rung = ladder[self.attempts % len(ladder)]
        # A new connection needs the other side, and one of the two to begin it.
        if rung == "new-connection" and (not peer_is_there or (self.polite and self.attempts < len(LADDER))):
            rung = "restart"
        self.attempts += 1
        self.rung = rung
        self._attempted_at = now
        self._restarted_from = self.generation
        self._came_up = False
        return [
            Attempt(rung, self.attempts),
            commands.StartTimer(ATTEMPT, self._deadline(), spread=0.1 * self.attempts),
        ]

    def _deadline(self) -> float:
        trip = self.pulse.round_trip.smoothed or 0.0
        first = FIRST_DEADLINE + 2 * trip + (POLITE_EXTRA if self.polite else 0.0)
        # The second soon, since the first checks are often lost before the other side's NAT opens; then slower.
        return min(first * 1.6 ** min(max(self.attempts - 1, 0), 10), LAST_DEADLINE)

    def _beat(self, now: float, *, wants_echo: bool = False) -> list[Output]:
        if not self._is_open:
            return []
        interval = HIDDEN_INTERVAL if self.is_hidden else INTERVAL
        if self.state == "suspect" and now - self._suspected_at > LOST_AFTER:
            interval = max(interval, SUSPECT_INTERVAL)
        self.is_quiet = self.state == "healthy" and now - self._active_at >= QUIET_AFTER
        if self.is_quiet:
            interval = max(interval, self.pulse.quiet_interval)
        self._beat_due = now + interval
        beat = self.pulse.next_beat(now, due=interval, generation=self.generation, wants_echo=wants_echo)
        return [commands.SendOnChannel("heartbeat", beat.encode()), commands.StartTimer(BEAT, interval)]

    def _listen(self, now: float) -> Command:
        doubtful = max(self.pulse.patience() * DOUBT_AFTER, self.pulse.due * LATE)
        self._stalled = self._doubted = self.peer_is_busy = False
        self._packets = None
        self._silence_due = now + doubtful
        return commands.StartTimer(SILENCE, doubtful)
