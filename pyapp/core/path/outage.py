"""While the path is suspect: one attempt after the other, and the signs that it works again.

a beat arrives                                       a sign of life, and the person is told no more that it is lost
it echoes one that was sent since the suspicion      messages go on
the selected pair is of the attempt's generation     proven, once a beat that was sent over it has come back
an attempt's deadline passes                         the next rung, or proven, if beats come and go on the old pair
it makes progress                                    another deadline: on a busy machine each step takes a second
packets come over its pair, and no beat              the same: the other page stands still
this page stood still                                no deadline passes before what came meanwhile is read
"""

import math
from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path import outcomes
from pyapp.core.path.heartbeat import INTERVAL
from pyapp.core.path.ladder import CLOSED_LADDER, DEAD_LADDER, LADDER, Ladder, Rung
from pyapp.core.path.outcomes import Attempt, Doubted, Evidence, Resumed, Suspected
from pyapp.core.path.silence import SILENCE, Listening, grace
from pyapp.core.path.vitals import STALL, Vitals
from pyapp.core.timers import RecoveryTimer
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry

ATTEMPT, LOST = RecoveryTimer.ATTEMPT, RecoveryTimer.LOST

CONCEDED = 0.1
"""Seconds, plus one RTT, for which the polite side waits for the peer's first offer when both ends are silent:
colliding offers cost a rollback, and candidates are gathered twice."""

LOST_AFTER = 1.0
"""Seconds for which the path is suspect before the person is told."""

KEY_FRAME_AFTER = 1.0
"""Seconds of silence after which we send a key frame. Otherwise the peer's browser would first request each missing
packet, for a second, and then a key frame."""

EXCHANGE_WITHIN = 3.0
"""Seconds that the next step of an offer and its answer may take. Another offer would not only begin them anew: the
answer to this one, which may be on its way, would count for nothing."""

STANDS_STILL_FOR = 8.0
"""Seconds for which a peer that says nothing counts as busy while packets come; then something else may be wrong."""

SUSPECT_INTERVAL = 0.25
"""Seconds between beats once an outage has lasted a second: beats, too, must fit into a window of one packet."""


_LADDERS: dict[Evidence, tuple[Rung, ...]] = {"channel-closed": CLOSED_LADDER, "dtls-failed": DEAD_LADDER}
"""What is tried, by the evidence that a restart does not mend it."""

_OTHERWISE: frozenset[Evidence] = frozenset({"network-changed", *_LADDERS})
"""Evidence of what a restart that is under way does not mend."""


@dataclass(frozen=True, slots=True)
class Proven:
    """The path works again. It is the last output, since it ends the state."""


Output: TypeAlias = outcomes.Output | Proven


@dataclass(slots=True)
class Signs:
    """What was heard since the path became suspect, or was confirmed. `number` is that of our last beat before."""

    number: int
    heard_at: float | None = field(init=False, default=None)
    """When the first beat arrived."""
    is_heard: bool = field(init=False, default=False)
    """Whether a beat that we have sent since then was echoed."""
    came_up: bool = field(init=False, default=False)
    """Whether a beat arrived while the selected pair was of the attempt's generation."""


@dataclass(slots=True)
class Suspect:
    """The state in which the path has stopped working, or may have. Times are seconds on the runner's clock."""

    vitals: Vitals
    evidence: Evidence
    since: float
    silent_since: float = field(init=False)
    """When the last beat before arrived."""
    ladder: Ladder = field(init=False)
    listening: Listening = field(init=False)
    is_lost: bool = field(init=False, default=False)
    """Whether it has lasted long enough that the person must be told."""
    _signs: Signs = field(init=False)
    _ends_at: float = field(init=False, default=math.inf)
    """The deadline of the attempt."""
    _progressed_at: float = field(init=False, default=-math.inf)
    """When the attempt began, or last made progress."""
    _packets: int | None = field(init=False, default=None)
    """Packets that the transport had received when it was last seen."""
    _alive_at: float = field(init=False, default=-math.inf)
    """When more of them were seen to have come, over a pair of the attempt's generation."""
    _sampled_at: float = field(init=False, default=-math.inf)
    """When the selected pair was last sampled."""

    def __post_init__(self) -> None:
        """Start with nothing heard and nothing tried."""
        heard_at = self.vitals.pulse.heard_at
        self.silent_since = self.since if heard_at is None else heard_at
        self.ladder = Ladder(self.vitals.generation)
        self.listening = Listening(self.since)
        self._signs = Signs(self.vitals.pulse.number)

    @property
    def is_resumed(self) -> bool:
        """Whether a beat arrived since the path became suspect, or was interrupted again."""
        return self._signs.heard_at is not None

    def begin(self, now: float) -> list[Output]:
        """Report it, and begin the first attempt, unless a restart is already under way.

        A restart of our own would undo one that was just negotiated. Firefox is silent for half a second at each
        restart. With stronger evidence we do not wait so long. It would also replace one that we offered since the
        last beat, for which candidates were gathered when the path had failed: its answer would count for nothing.
        """
        told = [commands.StartTimer(LOST, LOST_AFTER), *self._suspected(now), *self.beat(now)]
        if self.evidence == "dtls-failed":
            return [*told, self._replace_in(now)]
        offered_at = self.vitals.offered_at
        if offered_at is not None and offered_at >= self.silent_since and self.evidence not in _OTHERWISE:
            self.ladder.joined(self.vitals.generation + 1, offered_at)
            self._progressed_at = offered_at
            return [*told, self._end_in(max(offered_at + self._deadline - now, 0.0), now)]
        answered_at, patience = self.vitals.negotiated_at, 2 * self._deadline
        if answered_at is None or self.evidence in _OTHERWISE or now - answered_at > patience:
            if self.vitals.concedes and self.evidence in ("silence", "not-heard"):
                return [*told, self._end_in(self._concession, now)]
            return [*told, *self._attempt(now)]
        self.ladder.joined(self.vitals.negotiated, answered_at)
        return [*told, self._end_in(answered_at + patience - now, now)]

    def begin_anew(self, now: float) -> list[Output]:
        """Start over: our network has changed, and earlier candidates are useless."""
        if self.evidence not in _LADDERS:
            self.evidence = "network-changed"
        self.ladder.from_the_first_rung()
        self._signs = Signs(self.vitals.pulse.number)
        return [commands.StartTimer(LOST, LOST_AFTER), *self._suspected(now), *self._attempt(now)]

    def broke(self, evidence: Evidence, now: float) -> list[Output]:
        """Take another ladder from now on: the channel has closed."""
        self.evidence = evidence
        self._signs = Signs(self.vitals.pulse.number)  # what was heard proves nothing any more: that channel is gone
        return [*self._suspected(now), self._replace_in(now)] if evidence == "dtls-failed" else []

    def _replace_in(self, now: float) -> PartCommand:
        """Have the connection replaced: by the polite side if the other does not, which may know it as well."""
        self.ladder.from_the_first_rung()
        return self._end_in(self._concession if self.vitals.polite else 0.0, now)

    def beat(self, now: float, *, wants_echo: bool = False) -> list[PartCommand]:
        """Send a beat: more slowly once the outage has lasted a while."""
        at_least = SUSPECT_INTERVAL if now - self.since > LOST_AFTER else 0.0
        is_deaf = self.evidence == "silence" and not self.is_resumed
        return self.vitals.beat(now, at_least=at_least, wants_echo=wants_echo, is_deaf=is_deaf)

    def negotiated(self, now: float) -> list[Output]:
        """Give an agreed restart its full time from now on, whichever side asked for it."""
        if self.evidence == "dtls-failed":
            return []
        self.ladder.begun_at = self._progressed_at = now
        return [self._end_in(self._deadline, now)]

    def progressed(self, now: float) -> list[Output]:
        """Give the attempt a new deadline, unless the old one is later: it got one step further."""
        if self.ladder.begun_at is None:
            return []
        self._progressed_at = now
        return [self._end_in(self._deadline, now)] if now + self._deadline > self._ends_at else []

    def server_is_back(self, now: float) -> list[Output]:
        """Try again at once if the last attempt was made while the server was out of reach."""
        begun_at = self.ladder.begun_at
        return [] if begun_at is None or now - begun_at < self._deadline else self._attempt(now)

    def attempt_over(self, now: float, *, server_heard: float, peer_heard: float, is_exchanging: bool) -> list[Output]:
        """Go on to the next rung (timer `ATTEMPT`), as in `Recovery.attempt_over`."""
        if now - self._ends_at > STALL and not self.vitals.is_hidden:
            return [self._end_in(grace(self.vitals), now)]
        signs, pulse = self._signs, self.vitals.pulse
        if signs.is_heard and signs.heard_at is not None and pulse.silence(now) < pulse.patience():
            # The old path works again in both directions, and the restart did not get through: it was not needed.
            pulse.paused(signs.heard_at - self.silent_since)
            return [Proven()]
        # A new connection takes nothing from the exchange.
        is_under_way = is_exchanging and self.evidence not in _LADDERS
        waits_for = self._progressed_at + EXCHANGE_WITHIN - now if is_under_way else 0.0
        if self.ladder.attempts == 0 and self.ladder.begun_at is None and waits_for <= 0:
            return self._attempt(now)  # the peer has made no offer
        if self._peer_stands_still(now):
            return [self._end_in(self._deadline, now)]
        told = self._interrupted(now)
        if server_heard < self.since:
            # It may have answered just before the network changed again.
            return [*told, Doubted(), self._end_in(self._deadline, now)]
        if waits_for > 0:
            return [*told, self._end_in(waits_for, now)]
        # The socket may have died during this attempt, and with it what the peer answered.
        doubted = [Doubted()] if server_heard < (self.ladder.begun_at or now) else []
        return [*told, *doubted, *self._attempt(now, peer_is_there=peer_heard > self.since)]

    def sampled(self, packets: int, now: float) -> None:
        """Take the number of packets that the transport has received, as in `Healthy.sampled`."""
        before, self._packets = self._packets, packets
        if before is not None and packets > before and self._is_over_new_pair:
            self._alive_at = now

    @property
    def _is_over_new_pair(self) -> bool:
        return self.vitals.generation > self.ladder.restarted_from

    def _peer_stands_still(self, now: float) -> bool:
        """Return whether the attempt has worked, and only the peer's page says nothing of it yet."""
        pulse = self.vitals.pulse
        is_alive = self._is_over_new_pair and now - self._alive_at <= pulse.patience()
        has_time = now - self._progressed_at < STANDS_STILL_FOR and self.evidence not in _LADDERS
        return is_alive and has_time and self._alive_at > (pulse.heard_at or 0.0) + INTERVAL

    def heard(self, now: float) -> list[Output]:
        """Handle a beat."""
        self._signs.came_up |= self._is_over_new_pair
        return self.sign_of_life(now)

    def sign_of_life(self, now: float) -> list[Output]:
        """Handle a beat, or the news that an earlier one came over a new pair."""
        outputs: list[Output] = []
        if not self.is_resumed:
            self._signs.heard_at = now
            self.is_lost = False
        if not self._signs.is_heard and self.vitals.echoed > self._signs.number:
            # Hearing the peer does not mean being heard: data sent into a dead path only fills the channel's window.
            self._signs.is_heard = True
            outputs.append(Resumed())
            if now - self.silent_since > KEY_FRAME_AFTER:
                outputs.append(commands.SendKeyFrame())
        if self.vitals.is_newer_than(self.ladder.restarted_from):
            return [*outputs, Proven()]
        if now - self._sampled_at >= INTERVAL:
            self._sampled_at = now
            outputs.append(commands.SampleStats())
        return outputs

    def silent(self, now: float) -> list[Output]:
        """Judge the silence after a pair of this attempt had worked (timer `SILENCE`).

        The ladder starts over: the network has changed again.
        """
        if not self._signs.came_up:
            return []
        if waiting := self.listening.grace(self.vitals, now):
            return [*waiting]
        pulse = self.vitals.pulse
        if (left := pulse.patience() - min(pulse.silence(now), now - self._alive_at)) > 0:
            self.listening.judged_at = now + left
            return [commands.StartTimer(SILENCE, left)]
        self.ladder.from_the_first_rung()
        concession = self._concession if self.vitals.concedes else 0.0
        return [*self._interrupted(now), self._end_in(concession, now)]

    def recovered(self, seconds: float) -> Entry:
        """Return the journal entry for an outage that is over."""
        return entries.Recovered(seconds=round(seconds, 3), attempts=self.ladder.attempts)

    def _suspected(self, now: float) -> list[Output]:
        pulse = self.vitals.pulse
        suspected = entries.Suspect(
            evidence=self.evidence,
            silence_ms=round(pulse.silence(now) * 1000),
            patience_ms=round(pulse.patience() * 1000),
            loss=round(pulse.loss, 4),
        )
        return [suspected, Suspected(self.evidence)]

    def _interrupted(self, now: float) -> list[Output]:
        """Withdraw that the path had resumed."""
        outputs: list[Output] = []
        if self.is_resumed:
            # One beat got through, and then no more: the person has not been told yet.
            outputs.append(commands.StartTimer(LOST, LOST_AFTER))
        if self._signs.is_heard:
            # Messages flowed again, too.
            outputs += self._suspected(now)
        self._signs = Signs(self.vitals.pulse.number)
        return outputs

    def _attempt(self, now: float, *, peer_is_there: bool = False) -> list[Output]:
        rung = self.ladder.climb(
            self.vitals.generation,
            now,
            rungs=_LADDERS.get(self.evidence, LADDER),
            polite=self.vitals.polite,
            peer_is_there=peer_is_there
            or self.evidence == "dtls-failed",  # nothing but a new connection is left to try
        )
        self._signs.came_up = False
        self._progressed_at = now
        attempts = self.ladder.attempts
        # The attempt comes last: it may ask for a new connection, which must find no timer of ours.
        return [self._end_in(self._deadline, now, spread=0.1 * attempts), Attempt(rung, attempts)]

    def _end_in(self, seconds: float, now: float, *, spread: float = 0.0) -> PartCommand:
        self._ends_at = now + seconds + spread
        return commands.StartTimer(ATTEMPT, seconds, spread)

    @property
    def _concession(self) -> float:
        return CONCEDED + self._trip

    @property
    def _deadline(self) -> float:
        return self.ladder.deadline(self._trip, polite=self.vitals.polite)

    @property
    def _trip(self) -> float:
        """An RTT that may be late at both ends."""
        return self.vitals.trip + 4 * self.vitals.pulse.jitter
