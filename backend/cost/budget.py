"""The budget for relays: how much of it is used, and what is done then. Pure.

    warn      it is said in the page
    lower     and pages send less video over relays
    direct    and a direct path is looked for at once
    stop      and no new relay is given, but to the sessions that are named

Each step is reached at a share of the budget: of a session's, of a day's or of a month's (UTC), whichever is used most.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from backend.cost.prices import GB
from pyapp.protocol.signaling import BudgetStep

Scope: TypeAlias = Literal["session", "day", "month"]
StepName: TypeAlias = Literal["warn", "lower", "direct", "stop"]

SCOPES: tuple[Scope, ...] = ("session", "day", "month")
STEPS: tuple[StepName, ...] = ("warn", "lower", "direct", "stop")
LOWERED_VIDEO = 300
"""kbit/s."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most that may be relayed, in GB, in money, or both; None is without limit."""

    gb: float | None = None
    cost: float | None = None

    def share(self, relayed: int, cost: float | None) -> float:
        """Return how much of it `relayed` bytes are, which cost so much: 1 is all of it."""
        shares = [relayed / GB / self.gb] if self.gb else []
        shares += [cost / self.cost] if self.cost and cost is not None else []
        return max(shares, default=0.0)


@dataclass(frozen=True, slots=True)
class Reached:
    """The step that was reached, in which part of the budget, and how much of that is used."""

    step: BudgetStep = ""
    scope: Scope | Literal[""] = ""
    share: float = 0.0

    @property
    def lowers_video(self) -> bool:
        """Whether pages send less video over relays: at this step and at all later ones."""
        return self.step in STEPS[STEPS.index("lower") :]


@dataclass(frozen=True, slots=True)
class Budget:
    """`[budget]`: allowances by scope, and the shares at which the steps are."""

    allowances: Mapping[Scope, Allowance] = field(default_factory=lambda: {scope: Allowance() for scope in SCOPES})
    steps: Mapping[StepName, float] = field(
        default_factory=lambda: {"warn": 0.7, "lower": 0.8, "direct": 0.9, "stop": 1.0}
    )
    video: int = LOWERED_VIDEO
    """The most video that a page sends over a relay from the step `lower` on, in kbit/s."""
    sessions: frozenset[str] = frozenset()
    """The sessions that get relays in any case."""

    def reached(self, shares: Mapping[Scope, float], *, session: str = "") -> Reached:
        """Return the step for `session` with these shares of its own, of the day's and of the month's budget."""
        scope = max(SCOPES, key=lambda one: shares.get(one, 0.0))
        share = shares.get(scope, 0.0)
        step = self.step(share)
        if not step:
            return Reached()
        return Reached("direct" if step == "stop" and session in self.sessions else step, scope, share)

    def step(self, share: float) -> BudgetStep:
        """Return the last step that is reached at `share`."""
        step: BudgetStep = ""
        for name in STEPS:
            if share >= self.steps[name]:
                step = name
        return step
