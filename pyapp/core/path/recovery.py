"""When the path becomes suspect, what is tried next, and when it is proven to work again.

    idle     --the heartbeat channel opens-->                      healthy
    healthy  --silence, a change of the network, bad news-->       suspect: a new socket, an ICE restart, messages held
    suspect  --a beat arrives-->                                   suspect, messages go on
    suspect  --and the selected pair is of the new generation-->   healthy
    suspect  --and that pair falls silent before-->                suspect, from the first rung
    suspect  --an attempt's deadline passes-->                     suspect, the next rung of the ladder

An attempt counts only while the server can be reached: without it no offer reaches the peer, and a higher rung would
prove nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TypeAlias, assert_never

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path import outage, silence
from pyapp.core.path.heartbeat import INTERVAL, LATE, Pulse
from pyapp.core.path.outage import LOST_AFTER, Proven, Suspect
from pyapp.core.path.outcomes import Evidence, Output, Reassured, Recovered, no_alarm
from pyapp.core.path.silence import DOUBT_AFTER, LOOK_AFTER, Alarm, Healthy, Listening, echo_patience
from pyapp.core.path.vitals import Vitals
from pyapp.core.timers import RecoveryTimer
from pyapp.protocol.channel import decode_beat

BEAT, SILENCE = RecoveryTimer.BEAT, RecoveryTimer.SILENCE
ATTEMPT, LOST, SETTLE = RecoveryTimer.ATTEMPT, RecoveryTimer.LOST, RecoveryTimer.SETTLE
TIMERS = tuple(RecoveryTimer)

SETTLE_AFTER = 0.015
"""Seconds to wait for the network to settle: the browser's change events come in pairs, a few milliseconds apart."""

JUSTIFIED_AFTER = 0.15
"""Seconds of silence: after the longer of this and half the patience, a restart of the peer's is taken to be for an
outage."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The state before the heartbeat channel has opened."""


State: TypeAlias = Idle | Healthy | Suspect


@dataclass(slots=True)
class Recovery:
    """The health of one connection. Times are seconds on the runner's clock.

    `polite` is as in the negotiation; `may_collide` is its `restarts_may_collide`.
    `state` holds what ends with the state; `vitals` what outlives it.
    """

    polite: InitVar[bool] = True
    is_hidden: InitVar[bool] = False
    may_collide: InitVar[Callable[[], bool]] = lambda: True
    vitals: Vitals = field(init=False)
    state: State = field(init=False, default_factory=Idle)
    last_outage: float | None = field(init=False, default=None)
    """Duration of the last outage, in seconds."""

    def __post_init__(self, polite: bool, is_hidden: bool, may_collide: Callable[[], bool]) -> None:
        """Start with nothing known."""
        self.vitals = Vitals(polite, is_hidden, may_collide)

    @property
    def pulse(self) -> Pulse:
        """What the beats tell of the path."""
        return self.vitals.pulse

    @property
    def is_healthy(self) -> bool:
        """Whether beats arrive and are echoed."""
        return isinstance(self.state, Healthy)

    @property
    def is_suspect(self) -> bool:
        """Whether the path has stopped working, or may have."""
        return isinstance(self.state, Suspect)

    @property
    def is_silent(self) -> bool:
        """Whether nothing has arrived since the path became suspect."""
        return isinstance(self.state, Suspect) and not self.state.is_resumed

    @property
    def is_doubtful(self) -> bool:
        """Whether a beat is late, but not late enough to act on."""
        return isinstance(self.state, Healthy) and self.state.listening.is_doubtful

    def has_fallen_silent(self, now: float) -> bool:
        """Return whether a silence has begun that is too short to act on but makes a restart of the peer's credible."""
        return self.is_healthy and self.pulse.silence(now) >= max(JUSTIFIED_AFTER, self.pulse.patience() / 2)

    @property
    def is_lost(self) -> bool:
        """Whether the path has been suspect long enough that the person must be told."""
        return isinstance(self.state, Suspect) and self.state.is_lost

    @property
    def peer_is_busy(self) -> bool:
        """Whether the peer's page has stalled while its browser still answers."""
        return isinstance(self.state, Healthy) and self.state.listening.peer_is_busy

    @property
    def is_quiet(self) -> bool:
        """Whether our beats are slow because the session is quiet."""
        return isinstance(self.state, Healthy) and self.state.is_quiet

    def due(
        self, timer: RecoveryTimer, now: float, *, server_heard: float, peer_heard: float, is_exchanging: bool
    ) -> list[Output]:
        """Do what the timer was set for; the rest as in `attempt_over`."""
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
                return self.attempt_over(
                    now, server_heard=server_heard, peer_heard=peer_heard, is_exchanging=is_exchanging
                )
            case _:
                assert_never(timer)

    # The channel, and the beats on it.

    def channel_opened(self, now: float) -> list[Output]:
        """Start to send and to expect beats."""
        self.vitals.is_open = True
        self.pulse.listen(now)
        if isinstance(self.state, Idle):
            self.state = Healthy(self.vitals, now, Listening(now))
        return [*self._beat(now), self._listen(now)]

    def channel_closed(self, now: float, *, dtls_failed: bool = False) -> list[Output]:
        """Suspect the whole connection: a closed channel does not open again."""
        self.vitals.is_open = False
        evidence: Evidence = "dtls-failed" if dtls_failed else "channel-closed"
        if isinstance(self.state, Suspect):
            return self._outage_did(self.state.broke(evidence, now), now)
        return self.suspect(evidence, now)

    def muted(self) -> list[Output]:
        """Stop sending beats: the heartbeat channel is closed, and that of the messages is about to close."""
        self.vitals.is_open = False
        return [commands.CancelTimer(BEAT)]

    def hidden(self, now: float, *, is_hidden: bool) -> list[Output]:
        """Send slower beats from a hidden tab, and announce that before its timers slow down."""
        self.vitals.is_hidden = is_hidden
        if isinstance(self.state, Healthy):
            self.state.since = now  # before this, other timers applied to how long the peer did not hear us
        # Twice: if the only one were lost, the peer would expect the next at the old pace.
        return [] if isinstance(self.state, Idle) else [*self._beat(now), *self._beat(now)]

    def beat(self, now: float) -> list[Output]:
        """Send the next beat (timer `BEAT`)."""
        if isinstance(self.state, Idle):
            return []
        if not self.vitals.stood_still(now):
            return self._beat(now)
        if isinstance(self.state, Healthy):
            self.state.since = now
        return [self.vitals.catch_up(now)]

    def pair_changed(self, now: float) -> list[Output]:
        """Send a beat over a pair that was just selected; in an outage the attempt has got further."""
        return [*self._beat(now, wants_echo=True), *self.progressed(now)] if self.is_suspect else self.beat(now)

    def active(self, now: float) -> list[Output]:
        """Record activity at either end: beats are fast again."""
        return [*self.state.active(now)] if isinstance(self.state, Healthy) else []

    def heard(self, text: str, now: float) -> list[Output]:
        """Handle a beat of the peer's. Raises `MessageError` if it is malformed."""
        beat = decode_beat(text)
        state, vitals, pulse = self.state, self.vitals, self.pulse
        silence, patience, was_slow = pulse.silence(now), pulse.patience(), pulse.due > INTERVAL
        # A page that stalls, theirs or ours, says nothing about the path.
        we_stood_still = vitals.stood_still(now)
        they_stood_still = isinstance(state, Healthy) and state.peer_stood_still
        vitals.heard(beat, now, is_telling=not (self.is_suspect or we_stood_still or they_stood_still))
        was_doubted = isinstance(state, Healthy) and state.listening.is_doubtful
        outputs: list[Output] = [self._listen(now), *([Reassured()] if was_doubted else [])]
        if was_slow and pulse.due <= INTERVAL:
            outputs += self.active(now)
        # The first one in an outage is answered at once, too: the peer holds its messages until it is echoed.
        if beat.wants_echo or (isinstance(state, Suspect) and not state.is_resumed):
            outputs += self._beat(now)
        match state:
            case Suspect():
                return outputs + self._outage_did(state.heard(now), now)
            case Healthy():
                if we_stood_still:
                    state.since = now  # it is no news that they did not hear us meanwhile
                if vitals.is_unheard(beat, state.since, now):
                    # A path that fails in one direction only is detected at both ends at once.
                    return outputs + self.suspect("not-heard", now)
                if (was_doubted or silence > 0.6 * patience) and silence < LOST_AFTER:
                    outputs.append(no_alarm("late", silence))
        return outputs

    def _beat(self, now: float, *, wants_echo: bool = False) -> list[Output]:
        state = self.vitals if isinstance(self.state, Idle) else self.state
        return [*state.beat(now, wants_echo=wants_echo)]

    # The silence.

    def _listen(self, now: float) -> PartCommand:
        doubtful = max(self.pulse.patience() * DOUBT_AFTER, self.pulse.due * LATE)
        if not isinstance(self.state, Idle):
            self.state.listening = Listening(now + doubtful)
        return commands.StartTimer(SILENCE, doubtful)

    def silent(self, now: float) -> list[Output]:
        """Judge the silence (timer `SILENCE`)."""
        match self.state:
            case Healthy() as healthy:
                return self._silence_did(healthy.judge(now), now)
            case Suspect() as suspect:
                return self._outage_did(suspect.silent(now), now)
            case Idle():
                return []

    def _silence_did(self, outputs: Sequence[silence.Output], now: float) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            if isinstance(output, Alarm):
                result += self.suspect(output.evidence, now)
            else:
                result.append(output)
        return result

    def heard_aside(self, now: float) -> list[PartCommand]:
        """Record that the peer's page was heard over the standby."""
        return self.state.heard_aside(now) if isinstance(self.state, Healthy) else []

    def sampled(self, packets: int, now: float) -> None:
        """Take the number of packets that the transport has received, as in `Healthy.sampled`."""
        if not isinstance(self.state, Idle):
            self.state.sampled(packets, now)

    def network_changed(self, now: float, *, certain: bool) -> list[Output]:
        """Handle a change event of the browser; if it is not `certain`, we only ask the peer for an echo."""
        if isinstance(self.state, Idle):
            return []
        if certain:
            return [commands.StartTimer(SETTLE, SETTLE_AFTER, only_if_idle=True)]
        if isinstance(self.state, Healthy):
            self.state.ask(now)
        look = self.state.listening.judge_in(LOOK_AFTER * echo_patience(self.vitals), now)
        return [*self._beat(now, wants_echo=True), *look]

    # The outage.

    def suspect(self, evidence: Evidence, now: float) -> list[Output]:
        """Make the path suspect, unless it is already.

        This includes a connection whose beats never began: its loss must not go unnoticed for lack of a heartbeat.
        """
        if isinstance(self.state, Suspect):
            return []
        suspect = self.state = Suspect(self.vitals, evidence, now)
        return self._outage_did(suspect.begin(now), now)

    def network_settled(self, now: float) -> list[Output]:
        """Act on a change of the network (timer `SETTLE`): candidates gathered before it are useless."""
        if isinstance(self.state, Suspect):
            return self._outage_did(self.state.begin_anew(now), now)
        return self.suspect("network-changed", now)

    def bad_news(self, evidence: Evidence, now: float) -> list[Output]:
        """Act on the browser's `disconnected` or `failed`, unless beats still arrive.

        Firefox says `failed` for a moment after a restart, while the old path goes on.
        """
        silence = self.pulse.silence(now)
        if isinstance(self.state, Idle) or silence > self.pulse.patience() / 2:
            return self.suspect(evidence, now)
        return [no_alarm("heard", silence, evidence=evidence)]

    def restart_offered(self, now: float) -> None:
        """Record that we restart ICE, with all that an attempt would gather."""
        self.vitals.offered_at = now

    def negotiated(self, generation: int, now: float) -> list[Output]:
        """Give the new ICE `generation` its full time from now on, whichever side asked for it."""
        self.vitals.negotiated, self.vitals.negotiated_at, self.vitals.offered_at = generation, now, None
        if isinstance(self.state, Healthy):
            self.state.negotiated(now)
        return self._outage_did(self.state.negotiated(now), now) if isinstance(self.state, Suspect) else []

    def progressed(self, now: float) -> list[Output]:
        """Record that the attempt got further: an answer or a candidate has come, or the browser found another pair."""
        return self._outage_did(self.state.progressed(now), now) if isinstance(self.state, Suspect) else []

    def lost(self) -> list[Output]:
        """Tell the person (timer `LOST`)."""
        if isinstance(self.state, Suspect):
            self.state.is_lost = not self.state.is_resumed
        return []

    def server_is_back(self, now: float) -> list[Output]:
        """Try again at once if the last attempt was made while the server was out of reach."""
        return self._outage_did(self.state.server_is_back(now), now) if isinstance(self.state, Suspect) else []

    def attempt_over(self, now: float, *, server_heard: float, peer_heard: float, is_exchanging: bool) -> list[Output]:
        """Go on to the next rung (timer `ATTEMPT`).

        `server_heard` and `peer_heard` are when the server, and the peer through it, were last heard; `is_exchanging`
        means that an offer of either side is being answered.
        """
        if not isinstance(self.state, Suspect):
            return []
        outputs = self.state.attempt_over(
            now, server_heard=server_heard, peer_heard=peer_heard, is_exchanging=is_exchanging
        )
        return self._outage_did(outputs, now)

    def proven(self, generation: int, now: float) -> list[Output]:
        """Record that the selected pair is of `generation`."""
        self.vitals.proven(generation)
        if isinstance(self.state, Suspect) and self.state.is_resumed:
            return self._outage_did(self.state.sign_of_life(now), now)
        return []

    def _outage_did(self, outputs: Sequence[outage.Output], now: float) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            if isinstance(output, Proven):
                result += self._recovered(now)
            else:
                result.append(output)
        return result

    def _recovered(self, now: float) -> list[Output]:
        if not isinstance(self.state, Suspect):
            return []
        suspect = self.state
        self.last_outage = (self.pulse.heard_at or now) - suspect.silent_since
        self.state = Healthy(self.vitals, now, Listening(now))
        return [
            *(commands.CancelTimer(timer) for timer in (ATTEMPT, LOST)),
            suspect.recovered(self.last_outage),
            Recovered(self.last_outage),
            self._listen(now),
        ]
