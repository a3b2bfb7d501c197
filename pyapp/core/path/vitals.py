"""What is known of a connection's health for as long as it lasts, in whatever state it is; and the beats we send."""

from dataclasses import dataclass, field

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path.heartbeat import HIDDEN_INTERVAL, HIDDEN_TICK, INTERVAL, Pulse
from pyapp.core.timers import RecoveryTimer
from pyapp.protocol.channel import Beat

BEAT = RecoveryTimer.BEAT

STALL = 0.15
"""Seconds by which a timer of our own may be late before the silence is our own stall, and not the other side's."""

CATCH_UP = 0.03
"""Seconds in which a page that stood still reads what came meanwhile, before it says how long it heard nothing."""


@dataclass(slots=True)
class Vitals:
    """Of one connection. `polite` as in the negotiation; `is_hidden` is the page. Times are seconds."""

    polite: bool
    is_hidden: bool
    pulse: Pulse = field(init=False, default_factory=Pulse)
    generation: int = field(init=False, default=0)
    """The ICE generation that was seen at work here."""
    peer_generation: int = field(init=False, default=0)
    """The same at the other side, by its beats."""
    negotiated: int = field(init=False, default=0)
    """The ICE generation that was agreed last."""
    negotiated_at: float | None = field(init=False, default=None)
    is_open: bool = field(init=False, default=False)
    """Whether the channel of the beats is open."""
    echoed: int = field(init=False, default=0)
    """The number of the last beat of ours that came back."""
    _proof: int = field(init=False, default=0)
    """The number of the last one that was sent before the pair in use was selected."""
    _due: float = field(init=False, default=0.0)

    @property
    def trip(self) -> float:
        """A round trip in seconds, or 0 if there was none yet."""
        return self.pulse.round_trip.smoothed or 0.0

    def beat(self, now: float, *, at_least: float = 0.0, wants_echo: bool = False) -> list[PartCommand]:
        """Send a beat, if the channel is open; the next one is due `at_least` so many seconds later."""
        if not self.is_open:
            return []
        interval = max(HIDDEN_INTERVAL if self.is_hidden else INTERVAL, at_least)
        self._due = now + interval
        beat = self.pulse.next_beat(now, due=interval, generation=self.generation, wants_echo=wants_echo)
        return [commands.SendOnChannel("heartbeat", beat.encode()), commands.StartTimer(BEAT, interval)]

    def catch_up(self, now: float) -> PartCommand:
        """Put the next beat off, since what came while this page stood still is to be read first."""
        self._due = now + CATCH_UP
        return commands.StartTimer(BEAT, CATCH_UP)

    def stood_still(self, now: float) -> bool:
        """Return whether this page did not get to send a beat of its own in time."""
        return not self.is_hidden and now - self._due > STALL

    def heard(self, beat: Beat, now: float, *, is_telling: bool) -> None:
        """Take a beat of the other side; whether it `is_telling` how the path is when it works."""
        self.pulse.heard(beat, now, in_outage=not is_telling)
        self.peer_generation = beat.generation
        self.echoed = max(self.echoed, beat.echo)

    def is_unheard(self, beat: Beat, since: float, now: float) -> bool:
        """Return whether the other side, by its beat, has not heard us `since` then, and for longer than is normal."""
        ticks = (self.pulse.chance + 1) * HIDDEN_TICK if self.is_hidden else 0.0
        return bool(beat.echo) and max(self.pulse.patience(), ticks) < beat.held / 1000 < now - since

    def proven(self, generation: int) -> None:
        """Take it that the selected pair is of `generation`."""
        if generation > self.generation:
            self.generation = generation
            self._proof = self.pulse.number

    def is_newer_than(self, generation: int) -> bool:
        """Return whether both sides use a newer one, and a beat that was sent over it has come back."""
        return min(self.generation, self.peer_generation) > generation and self.echoed > self._proof
