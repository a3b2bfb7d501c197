"""The steps of the budget, and for whom they are."""

import pytest

from backend.cost.budget import Allowance, Budget, Reached
from backend.cost.prices import GB


@pytest.mark.parametrize(
    ("share", "step"),
    [
        (0, ""),
        (0.69, ""),
        (0.7, "warn"),
        (0.8, "lower"),
        (0.89, "lower"),
        (0.9, "direct"),
        (0.99, "direct"),
        (1.0, "stop"),
        (9, "stop"),
    ],
)
def test_each_step_is_at_its_share(share: float, step: str) -> None:
    assert Budget().step(share) == step


def test_the_fullest_budget_decides() -> None:
    assert Budget().reached({"session": 0.75, "day": 0.85, "month": 0.1}) == Reached("lower", "day", 0.85)
    assert Budget().reached({}) == Reached()


def test_a_named_session_gets_relays_in_any_case() -> None:
    budget = Budget(sessions=frozenset({"support"}))
    assert budget.reached({"month": 1.2}, session="support") == Reached("direct", "month", 1.2)
    assert budget.reached({"month": 1.2}, session="other").step == "stop"


def test_an_allowance_is_in_bytes_or_money_or_both() -> None:
    assert Allowance().share(99 * GB, 99.0) == 0
    assert Allowance(gb=4).share(GB, None) == 0.25
    assert Allowance(cost=2.0).share(99 * GB, None) == 0
    assert Allowance(gb=4, cost=2.0).share(GB, 1.0) == 0.5
