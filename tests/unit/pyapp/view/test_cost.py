"""What relays cost and what their budget means, in words."""

import pytest

from pyapp.core import events
from pyapp.core.failures import NoPath
from pyapp.protocol.signaling import Cost as Told
from pyapp.view.console import present
from pyapp.view.cost import Cost, size
from pyapp.view.verdicts import explain
from tests.unit.pyapp.core.path.test_recovery import relayed
from tests.unit.pyapp.sessions import Core, connected


def shown(core: Core, told: Told) -> Cost:
    core.do(told)
    return present(core.session).cost


@pytest.mark.parametrize(
    ("told", "notice"),
    [
        (Told("warn", "session", 0.74), "This session has used 70\u202f% of its budget for relays."),
        (
            Told("lower", "day", 0.8, 300),
            (
                "80\u202f% of today's budget for relays is used."
                " To save some of it, the picture is sent with at most 300 kbit/s."
            ),
        ),
        (
            Told("direct", "month", 0.9, 300),
            (
                "90\u202f% of this month's budget for relays is used."
                " A direct path is looked for; meanwhile the picture is sent with at most 300 kbit/s."
            ),
        ),
        (
            Told("stop", "month", 1.234, 300),
            (
                "120\u202f% of this month's budget for relays is used."
                " No new relay is given: what is connected goes on,"
                " but if it breaks off, only a direct path can follow."
            ),
        ),
        (Told("sell", "month", 1.0), ""),
        (Told("stop", "year", 1.0), ""),
        (Told(), ""),
    ],
)
def test_each_step_says_what_is_used_and_what_is_done(told: Told, notice: str) -> None:
    assert shown(relayed(), told).notice == notice


def test_whoever_has_a_direct_path_is_told_when_there_is_nothing_to_fall_back_on() -> None:
    assert shown(connected(), Told("direct", "month", 0.9, 300)).notice == ""
    assert shown(connected(), Told("stop", "month", 1.0, 300)).notice


@pytest.mark.parametrize("step", ["warn", "lower", "direct"])
def test_an_operator_on_a_direct_path_is_told_that_nothing_is_done_there(step: str) -> None:
    told = Told(step, "day", 0.9, 300, 0, 0)
    assert shown(connected(), told).notice == (
        "90\u202f% of today's budget for relays is used. The path of this session is direct, which costs nothing."
    )
    assert shown(Core(), told).notice == ""


def test_no_direct_path_is_promised_where_only_relays_are_allowed() -> None:
    core = relayed()
    core.session.relays.policy = "relay"
    assert shown(core, Told("direct", "day", 0.9, 300)).notice == (
        "90\u202f% of today's budget for relays is used."
        " To save some of it, the picture is sent with at most 300 kbit/s."
    )


def test_operators_see_figures() -> None:
    told = Told("", "", 0.0, 0, 12_345_678, 45_600_000_000, 0.004, 3.2, 5.1, "EUR")
    assert shown(relayed(), told).figures == (
        "Over relays: this session 12.3 MB, under 0.01 EUR · this month 45.60 GB, 3.20 EUR, about 5.10 EUR by its end"
    )
    without_prices = Told(session_bytes=1000, month_bytes=2_000_000)
    assert shown(relayed(), without_prices).figures == "Over relays: this session 1 kB · this month 2.0 MB"
    assert shown(relayed(), Told()).figures == ""


def test_nothing_is_left_when_the_session_is_over() -> None:
    core = relayed()
    shown(core, Told("warn", "session", 0.74, 0, 1, 1))
    core.do(events.HangUpRequested())
    assert present(core.session).cost == Cost()


def test_a_failure_says_that_the_budget_is_used_up() -> None:
    said = explain(NoPath((), (), relay_only=False, budget_used_up=True))
    assert "the budget for relays is used up" in said.detail


def test_sizes() -> None:
    assert [size(count) for count in (0, 999_499, 1_000_000, 1_250_000_000)] == ["0 kB", "999 kB", "1.0 MB", "1.25 GB"]
