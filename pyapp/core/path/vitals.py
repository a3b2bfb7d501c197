"""What is known of a connection's health in every state, for as long as it lasts; and the beats that we send."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path.heartbeat import HIDDEN_INTERVAL, HIDDEN_TICK, INTERVAL, LEAST_PATIENCE, Pulse
from pyapp.core.timers import RecoveryTimer
from pyapp.protocol.channel import Beat

BEAT = RecoveryTimer.BEAT

STALL = 0.15
"""Seconds by which a timer of our own may be late before a silence counts as our own stall, not the peer's."""

CATCH_UP = 0.03
"""Seconds in which a stalled page reads what arrived meanwhile, before it reports how long it heard nothing."""

READ_WITHIN = 0.5
"""Seconds in which it has read that even on a busy machine, where timers may fire first. Until then, or until it hears
a beat, its own do not say how long it heard nothing."""


@dataclass(slots=True)
class Vitals:
    """Those of one connection. `polite` as in the negotiation; `is_hidden` is about the page. Times are seconds."""

    polite: bool
    is_hidden: bool
    may_collide: Callable[[], bool]
    """`restarts_may_collide` of the negotiation."""
    pulse: Pulse = field(init=False, default_factory=Pulse)
    generation: int = field(init=False, default=0)
    """The ICE generation of the selected pair here."""
    peer_generation: int = field(init=False, default=0)
    """The same at the peer's end, as its beats say."""
    negotiated: int = field(init=False, default=0)
    """The last agreed ICE generation."""
    negotiated_at: float | None = field(init=False, default=None)
    offered_at: float | None = field(init=False, default=None)
    """When we last began a restart that is not agreed yet."""
    is_open: bool = field(init=False, default=False)
    """Whether the heartbeat channel is open."""
    echoed: int = field(init=False, default=0)
    """The number of our last beat that was echoed."""
    _proof: int = field(init=False, default=0)
    """The number of the last beat sent before the pair in use was selected."""
    _due: float = field(init=False, default=0.0)
    _behind_until: float = field(init=False, default=0.0)
    """Until when what arrived during a stall of this page may not have been read."""

    @property
    def concedes(self) -> bool:
        """Whether we wait for the peer's offer before we make one that may collide with it. A request does not."""
        return self.polite and self.may_collide()

    @property
    def trip(self) -> float:
        """The RTT in seconds, or 0 before it was measured."""
        return self.pulse.round_trip.smoothed or 0.0

    def beat(
        self, now: float, *, at_least: float = 0.0, wants_echo: bool = False, is_deaf: bool = False
    ) -> list[PartCommand]:
        """Send a beat, if the channel is open; the next one is due after `at_least` so many seconds."""
        if not self.is_open:
            return []
        interval = max(HIDDEN_INTERVAL if self.is_hidden else INTERVAL, at_least)
        self._due = now + interval
        beat = self.pulse.next_beat(
            now, due=interval, generation=self.generation, wants_echo=wants_echo, is_deaf=is_deaf
        )
        if now < self._behind_until:
            beat = replace(beat, echo=0)  # it says nothing of what was heard: there may be more to read
        return [commands.SendOnChannel("heartbeat", beat.encode()), commands.StartTimer(BEAT, interval)]

    def catch_up(self, now: float) -> PartCommand:
        """Postpone the next beat, so that what arrived during a stall of this page is read first."""
        self._due = now + CATCH_UP
        self._behind_until = now + READ_WITHIN
        return commands.StartTimer(BEAT, CATCH_UP)

    def stood_still(self, now: float) -> bool:
        """Return whether this page has stalled: it could not send its own beat in time."""
        return not self.is_hidden and now - self._due > STALL

    def heard(self, beat: Beat, now: float, *, is_telling: bool) -> None:
        """Handle a beat of the peer's; `is_telling` means that it shows how the path is when it works."""
        self.pulse.heard(beat, now, in_outage=not is_telling)
        self._behind_until = 0.0
        self.peer_generation = beat.generation
        self.echoed = max(self.echoed, beat.echo)

    def is_unheard(self, beat: Beat, since: float, now: float) -> bool:
        """Return whether, by its beat, the peer has not heard us `since` then, and for longer than is normal."""
        ticks = (self.pulse.chance + 1) * HIDDEN_TICK if self.is_hidden else 0.0
        # If the peer suspects the path by its own patience, ours is of no account.
        patience = LEAST_PATIENCE if beat.is_deaf else self.pulse.patience()
        return bool(beat.echo) and max(patience, ticks) < beat.held / 1000 < now - since

    def proven(self, generation: int) -> None:
        """Record that the selected pair is of `generation`."""
        if generation > self.generation:
            self.generation = generation
            self._proof = self.pulse.number

    def is_newer_than(self, generation: int) -> bool:
        """Return whether both ends use a newer one, and a beat that was sent over it has been echoed."""
        return min(self.generation, self.peer_generation) > generation and self.echoed > self._proof
