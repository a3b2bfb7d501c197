"""What the budget for relays asks of a call, step by step: a direct path, less video, in the end no new relays."""

from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.signaling import Cost


@dataclass(frozen=True, slots=True)
class DirectPathWanted:
    """Look for a direct path, if a relay is in use."""


@dataclass(frozen=True, slots=True)
class RelaysWithheld:
    """Gather no new relays; one that is in use is kept."""


@dataclass(frozen=True, slots=True)
class RelaysAllowed:
    """There may be relays again: ask for them."""


Output: TypeAlias = Entry | DirectPathWanted | RelaysWithheld | RelaysAllowed


@dataclass(slots=True)
class Budget:
    """What the server said last of the relays' cost in this session."""

    cost: Cost = field(init=False, default_factory=Cost)
    _looks_later: bool = field(init=False, default=False)
    """Whether a direct path is wanted once there are relays again: to look for it before would lose the one in use."""

    @property
    def is_used_up(self) -> bool:
        """Whether no new relays may be gathered."""
        return self.cost.step == "stop"

    def video(self, usual: int) -> int:
        """Return the most video to send over a relay, where `usual` is the configuration's; both in kbit/s."""
        return min(usual, self.cost.video) if self.cost.video else usual

    def told(self, cost: Cost) -> list[Output]:
        """Take what the server says now."""
        before, self.cost = self.cost, cost
        if cost.step == before.step:
            return []
        told = entries.Budget(cost.step, cost.scope, cost.share, cost.video)
        if self.is_used_up:
            return [told, RelaysWithheld()]
        self._looks_later = before.step == "stop" and cost.step == "direct"
        if before.step == "stop":
            return [told, RelaysAllowed()]
        return [told, DirectPathWanted()] if cost.step == "direct" else [told]

    def provided(self) -> list[Output]:
        """Take that there may be relays again."""
        looks_now, self._looks_later = self._looks_later, False
        return [DirectPathWanted()] if looks_now else []
