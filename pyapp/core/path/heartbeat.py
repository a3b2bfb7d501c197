"""Heartbeats between the two pages, and what their absence means.

Detection takes most of an outage: a browser says `disconnected` after 5 to 7 s. A beat of some 25 bytes every 100 ms,
on a channel of its own, detects it within half a second. A beat carries what the peer needs to judge a silence: how
long we have not heard the peer, and when our next beat is due, so that a hidden tab's slow timers raise no alarm.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from pyapp.core.delivery import RoundTrip
from pyapp.protocol.channel import MAX_BEAT_HELD, Beat

INTERVAL = 0.1
"""Seconds between two beats while the page is visible."""

QUIET_INTERVAL, QUIET_MOST = 0.6, 1.8
"""Seconds between two beats when it is quiet. Where packets are lost the interval is shorter, so that as many beats as
may be lost in a row by chance take at most the second."""

LATE = 1.2
"""The multiple of the announced time after which the next beat is late."""

HIDDEN_INTERVAL = 1.2
"""Seconds between two beats of a hidden tab, whose timers fire about once a second."""

HIDDEN_TICK = 2.0
"""Seconds after which such a beat leaves at the latest: with the second tick of those timers."""

LEAST_PATIENCE = 0.3
"""Seconds of silence that are always normal. A radio link pauses for 0.2 to 0.5 s now and then; such pauses are
learned."""

AWAKE_PATIENCE = 0.2
"""The same while the peer is heard over the standby: then neither its page nor a radio link is what pauses."""

FIRST_PATIENCE = 2.0
"""The patience before the first beat, in seconds: the peer's end of the channel opens a round trip later."""

FALSE_ALARM = 1e-6
"""A run of lost beats that is less probable than this is not taken for chance."""

LEAST_LOSS = 1e-6
"""The least loss rate assumed of any path: a day without a lost beat proves nothing, and the estimate would decay to
0."""

PAUSE_FADES, LONGEST_PAUSE = 0.985, 0.5
"""The factor by which the longest pause decays at each beat (half in five seconds), and the longest that counts, in
s."""

FIRST_PAUSE = 0.35
"""The initial longest pause in seconds: both pages are busy while they start."""

_REMEMBERED = 64


@dataclass(slots=True)
class Pulse:
    """What the beats tell of the path. Times are seconds on the runner's clock."""

    round_trip: RoundTrip = field(default_factory=RoundTrip)
    heard_at: float | None = None
    """When the last beat arrived, or when we began to listen."""
    expected: int = field(init=False, default=0)
    """How many beats the peer has sent, as their numbers say, since the first that arrived."""
    arrived: int = field(init=False, default=0)
    """How many of them arrived, late ones included."""
    _number: int = field(init=False, default=0)
    _heard: int = field(init=False, default=0)
    _due: float = field(init=False, default=INTERVAL)
    _jitter: float = field(init=False, default=0.0)
    _first_pause: float = field(init=False, default=FIRST_PAUSE)
    _pause: float = field(init=False, default=0.0)
    """The longest recent pause that was no outage. Both decay."""
    _lost: float = field(init=False, default=0.5)
    _counted: float = field(init=False, default=50.0)
    _sent: deque[tuple[int, float]] = field(init=False, default_factory=lambda: deque(maxlen=_REMEMBERED))

    def listen(self, now: float) -> None:
        """Start to expect beats."""
        self.heard_at = now
        self._due = INTERVAL

    def next_beat(
        self, now: float, *, due: float, generation: int, wants_echo: bool = False, is_deaf: bool = False
    ) -> Beat:
        """Return the beat to send now; the next one is `due` seconds later."""
        self._number += 1
        self._sent.append((self._number, now))
        held = 0.0 if self.heard_at is None else now - self.heard_at
        return Beat(self._number, self._heard, _ms(held), _ms(due), generation, wants_echo, is_deaf)

    def heard(self, beat: Beat, now: float, *, in_outage: bool = False) -> None:
        """Take a beat of the peer's: measure RTT, jitter, loss and pauses.

        A beat that arrives `in_outage` says nothing about the path when it works.
        """
        self.arrived += 1
        if beat.number <= self._heard:
            return
        missing = beat.number - self._heard - 1
        self.expected += missing + 1 if self._heard else 1
        if self._heard and missing < _REMEMBERED:
            usual = 0 if in_outage else missing
            self._lost += usual
            self._counted += usual + 1
            if self._counted > 1000:
                self._lost, self._counted = self._lost / 2, self._counted / 2
        if self.heard_at is not None and self._heard and not missing and not in_outage:
            late = abs(now - self.heard_at - self._due)
            self._jitter += (min(late, 0.5) - self._jitter) / 16
        self._first_pause *= PAUSE_FADES
        self._pause *= PAUSE_FADES
        if self._heard and not in_outage:
            self.paused(self.silence(now))
        for number, at in self._sent:
            if number == beat.echo:
                self.round_trip.measured(max(now - at - beat.held / 1000, 0.0))
        self._heard = beat.number
        self._due = max(beat.due / 1000, 0.02)
        self.heard_at = now

    def paused(self, seconds: float) -> None:
        """Learn that a silence of `seconds` was harmless: a radio link, a busy machine, a slow page."""
        self._pause = max(self._pause, min(seconds, LONGEST_PAUSE) - self._due)

    @property
    def number(self) -> int:
        """The number of the last beat sent."""
        return self._number

    @property
    def jitter(self) -> float:
        """By how much the beats come early or late, on average; seconds."""
        return self._jitter

    @property
    def loss(self) -> float:
        """The loss rate of the beats, estimated a little higher while there are few samples."""
        return max(self._lost / self._counted, LEAST_LOSS)

    @property
    def chance(self) -> int:
        """How many beats lost in a row are too many for chance."""
        return math.ceil(math.log(FALSE_ALARM) / math.log(min(self.loss, 0.5)))

    @property
    def due(self) -> float:
        """Seconds after the last beat at which the peer announced the next."""
        return self._due

    @property
    def quiet_interval(self) -> float:
        """Seconds between two beats of ours when it is quiet, assuming the same loss rate in both directions."""
        return max(min(QUIET_INTERVAL, QUIET_MOST / self.chance), INTERVAL)

    def patience(self) -> float:
        """Return the seconds of silence that are still normal on this path."""
        if not self._heard:
            return FIRST_PATIENCE
        trip = self.round_trip.smoothed or 0.0
        # A slow beat is asked for when it is late, and the answer needs its time.
        asked = LATE * self._due + trip + LEAST_PATIENCE if self._due >= QUIET_INTERVAL else LEAST_PATIENCE
        pause = max(self._first_pause, self._pause)
        return max(asked, self.chance * self._due, 3 * trip, self._due + 1.3 * pause) + 4 * self._jitter

    def awake_patience(self) -> float:
        """Return the seconds of silence that are still normal if the peer is heard otherwise; never more.

        One beat less need be lost: our beats were not acknowledged, either.
        """
        trip = self.round_trip.smoothed or 0.0
        lost = (self.chance - 1) * self._due
        least = max(AWAKE_PATIENCE, lost, 3 * trip, self._due + 1.3 * self._pause) + 4 * self._jitter
        return min(least, self.patience())

    def silence(self, now: float) -> float:
        """Return the seconds since the last beat."""
        return 0.0 if self.heard_at is None else now - self.heard_at


def _ms(seconds: float) -> int:
    return min(max(round(seconds * 1000), 0), MAX_BEAT_HELD)
