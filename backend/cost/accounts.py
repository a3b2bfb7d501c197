"""What was relayed and what it costs, at this moment, and what follows from it for each session.

The relay meter in the record is the only one that counts; this keeps what it said last, so that nobody waits for it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from backend.access.audit import Audit
from backend.cost.budget import Budget, Reached, Scope
from backend.cost.prices import Prices
from backend.journal.relayed import Month, Relayed
from pyapp.protocol.signaling import BudgetStep, Cost

_NOBODY: dict[str, int] = {}


@dataclass(slots=True)
class Accounts:
    """`is_live` says whether somebody is in a session; `hosts` returns the TURN hosts of each provider, by its name.

    `now` returns Unix time, seconds.
    """

    prices: Prices
    budget: Budget
    audit: Audit
    is_live: Callable[[str], bool]
    hosts: Callable[[], Mapping[str, frozenset[str]]] = field(default=dict)
    now: Callable[[], float] = time.time
    are_kept: bool = field(init=False)
    """Whether there is anything to tell: the configuration has prices, or a budget."""
    _latest: Relayed = field(init=False, default_factory=lambda: Relayed(0.0, {}, Month("", {}, {})))
    _sessions: dict[str, dict[str, int]] = field(init=False, default_factory=dict)
    """Bytes by host, of each session that relayed and is still on."""
    _told: dict[str, BudgetStep] = field(init=False, default_factory=dict)
    """The steps in the audit log: by `day`, `month`, `session NAME`."""

    def __post_init__(self) -> None:
        """Look at the configuration once: for each page that joins it is asked whether there is anything to tell."""
        self.are_kept = _are_kept(self.prices, self.budget)

    def relayed(self, latest: Relayed) -> bool:
        """Take what the meter says; return whether all sessions may be at another step now, not only those in it."""
        self._latest = latest
        live = {name: of_it for name, of_it in latest.sessions.items() if self.is_live(name)}
        self._sessions |= live
        for name in live:
            self._audit(f"session {name}", "session", self._share(name), session=name)
        return self.have_changed()

    def have_changed(self) -> bool:
        """Return whether all sessions may be at another step than at the last call: another day has begun, say."""
        changed = [self._audit(scope, scope, share) for scope, share in self._of_all().items()]
        return any(changed)

    def used(self) -> tuple[dict[Scope, float], float | None]:
        """Return the used shares of the budget of the day and of the month, and what the month costs so far."""
        month = self._latest.month.bytes if self._is("month") else _NOBODY
        return self._of_all(), self.current_prices().of_month(month)

    def configure(self, prices: Prices, budget: Budget) -> None:
        """Use these from now on."""
        self.prices, self.budget = prices, budget
        self.are_kept = _are_kept(prices, budget)
        self.relayed(replace(self._latest, sessions=self._sessions))

    def ended(self, session: str) -> None:
        """Forget `session`: everybody has left."""
        self._sessions.pop(session, None)
        self._told.pop(f"session {session}", None)

    def reached(self, session: str) -> Reached:
        """Return the step of the budget at which `session` is."""
        return self.budget.reached({"session": self._share(session), **self._of_all()}, session=session)

    def relay_video(self, session: str, usual: int) -> int:
        """Return the most video over a relay that a page of `session` sends, in kbit/s."""
        return min(usual, self.budget.video) if self.reached(session).lowers_video else usual

    def cost(self, session: str, *, is_operator: bool) -> Cost:
        """Return what a page of `session` is told."""
        reached = self.reached(session)
        video = self.budget.video if reached.lowers_video else 0
        told = Cost(step=reached.step, scope=reached.scope, share=round(reached.share, 3), video=video)
        if not is_operator:
            return told
        prices, of_it = self.current_prices(), self._sessions.get(session, _NOBODY)
        month, expected = (self._latest.month.bytes, self._latest.month.forecast) if self._is("month") else ({}, {})
        return replace(
            told,
            session_bytes=sum(of_it.values()),
            month_bytes=sum(month.values()),
            session_cost=prices.of_part(of_it, month),
            month_cost=prices.of_month(month),
            expected=prices.of_month(expected),
            currency=prices.currency if prices.tariffs else "",
        )

    def current_prices(self) -> Prices:
        """Return the prices, with the hosts that providers name at this moment."""
        return self.prices.with_hosts(self.hosts()) if any(one.provider for one in self.prices.tariffs) else self.prices

    def _of_all(self) -> dict[Scope, float]:
        """Return how much of the day's and of the month's budget is used."""
        prices, month = self.current_prices(), self._latest.month.bytes if self._is("month") else _NOBODY
        day = self._latest.day if self._is("day") else _NOBODY
        allowances = self.budget.allowances
        return {
            "day": allowances["day"].share(sum(day.values()), prices.of_part(day, month)),
            "month": allowances["month"].share(sum(month.values()), prices.of_month(month)),
        }

    def _share(self, session: str) -> float:
        of_it = self._sessions.get(session, _NOBODY)
        cost = self.current_prices().of_part(of_it, self._latest.month.bytes)
        return self.budget.allowances["session"].share(sum(of_it.values()), cost)

    def _is(self, scope: Scope) -> bool:
        """Return whether what the meter said last is about the present day, or month."""
        return _date(scope, self.now()) == _date(scope, self._latest.at)

    def _audit(self, key: str, scope: Scope, share: float, *, session: str = "") -> bool:
        """Write a step that was reached into the audit log, once; return whether it is another than before."""
        step, before = self.budget.step(share), self._told.get(key, "")
        self._told[key] = step
        if step and step != before:
            self.audit.note("budget", scope=scope, session=session, step=step, share=round(share, 3))
        return step != before


def _date(scope: Scope, at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d" if scope == "day" else "%Y-%m")


def _are_kept(prices: Prices, budget: Budget) -> bool:
    return bool(prices.tariffs) or budget != Budget()
