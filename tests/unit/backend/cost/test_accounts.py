"""What follows for each session from what the meter says, and what the audit log has of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.access.audit import Audit
from backend.cost.accounts import Accounts
from backend.cost.budget import Allowance, Budget
from backend.cost.prices import GB, Prices, Tariff
from backend.journal.relayed import Month, Relayed
from pyapp.protocol.signaling import Cost

HOST = "turn.example"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
DAY = 86400.0
PRICES = Prices((Tariff(2.0, hosts=frozenset({HOST})),))
BUDGET = Budget({"session": Allowance(gb=1), "day": Allowance(), "month": Allowance(cost=100.0)}, video=250)


@dataclass
class World:
    folder: Path
    at: float = NOON
    live: set[str] = field(default_factory=lambda: {"one", "two"})
    accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        audit = Audit(self.folder)
        self.accounts = Accounts(PRICES, BUDGET, audit, is_live=lambda name: name in self.live, now=lambda: self.at)

    def relayed(self, month: float = 0, **sessions: float) -> bool:
        """Have the meter say so many GB."""
        by_host = {HOST: round(month * GB)}
        by_name = {name: {HOST: round(gb * GB)} for name, gb in sessions.items()}
        day = datetime.fromtimestamp(self.at, UTC)
        return self.accounts.relayed(Relayed(self.at, by_host, Month(f"{day:%Y-%m}", by_host, by_host), by_name))

    def audited(self) -> list[dict[str, Any]]:
        path = self.folder / "audit.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in lines]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.accounts.audit.close()


def test_a_session_has_its_own_budget(world: World) -> None:
    assert world.relayed(1.0, one=0.85) is False
    assert world.accounts.cost("one", is_operator=False) == Cost("lower", "session", 0.85, 250)
    assert world.accounts.cost("two", is_operator=False) == Cost()
    assert (world.accounts.relay_video("one", 1500), world.accounts.relay_video("two", 1500)) == (250, 1500)
    assert world.accounts.relay_video("one", 100) == 100


def test_the_month_is_everybody_s(world: World) -> None:
    assert world.relayed(45.0) is True
    assert world.accounts.reached("two").step == "direct"
    assert world.relayed(46.0) is False
    assert world.relayed(51.0) is True
    assert world.accounts.reached("two").step == "stop"


def test_another_month_has_a_budget_of_its_own(world: World) -> None:
    world.relayed(51.0)
    assert not world.accounts.have_changed()
    world.at += 5 * DAY
    assert world.accounts.have_changed()
    assert not world.accounts.have_changed()
    assert world.accounts.reached("two").step == ""
    assert world.accounts.cost("two", is_operator=True).month_bytes == 0


def test_operators_see_the_money(world: World) -> None:
    world.relayed(10.0, one=0.5)
    told = world.accounts.cost("one", is_operator=True)
    assert (told.session_bytes, told.session_cost, told.month_cost, told.expected, told.currency) == (
        *(GB // 2, 1.0, 20.0, 20.0),
        "USD",
    )
    assert world.accounts.cost("one", is_operator=False).month_cost is None


def test_each_step_is_in_the_audit_log_once(world: World) -> None:
    for gb in (0.5, 0.75, 0.78, 1.1):
        world.relayed(36.0, one=gb)
    assert world.audited() == [
        {"event": "budget", "scope": "month", "step": "warn", "share": 0.72},
        {"event": "budget", "scope": "session", "session": "one", "step": "warn", "share": 0.75},
        {"event": "budget", "scope": "session", "session": "one", "step": "stop", "share": 1.1},
    ]


def test_another_budget_is_in_force_and_in_the_audit_log_at_once(world: World) -> None:
    world.relayed(1.0, one=0.5)
    world.accounts.configure(PRICES, Budget({"session": Allowance(gb=0.5), "day": Allowance(), "month": Allowance()}))
    assert world.accounts.reached("one").step == "stop"
    assert [one["step"] for one in world.audited()] == ["stop"]


def test_a_session_that_is_over_is_forgotten(world: World) -> None:
    world.relayed(1.0, one=1.1)
    world.live.remove("one")
    world.accounts.ended("one")
    assert world.accounts.reached("one").step == ""
    world.relayed(1.0, one=1.2)  # what its pages told last comes afterwards
    assert world.accounts.reached("one").step == ""


def test_without_prices_and_budget_there_is_nothing_to_tell(world: World) -> None:
    assert world.accounts.are_kept
    world.accounts.configure(Prices(), Budget())
    assert not world.accounts.are_kept
