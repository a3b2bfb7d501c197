"""Checks in a restart begin when both sides can check."""

from pyapp.hold_off import HoldOff
from pyapp.messages import Candidate

OLD = frozenset({"old"})


def candidate(kind: str, fragment: str = "new") -> Candidate:
    return Candidate(f"candidate:1 1 udp 1 192.0.2.1 9 typ {kind}", "0", 0, fragment)


END = Candidate("", None, 0, "new")


def test_nothing_waits_outside_a_restart() -> None:
    hold = HoldOff()
    assert not hold.holds(candidate("srflx"), "srflx")
    assert not hold.ends_with(candidate("srflx"), "srflx")


def test_what_leads_through_a_nat_waits_in_its_order_and_what_is_near_does_not() -> None:
    hold = HoldOff()
    hold.begin(OLD)
    assert not hold.holds(candidate("host"), "host")
    waiting = [candidate("srflx"), candidate("relay"), END]
    assert all(hold.holds(each, kind) for each, kind in zip(waiting, ("srflx", "relay", "None"), strict=True))
    assert hold.over() == waiting
    assert not hold.holds(candidate("relay"), "relay")
    assert hold.over() == []


def test_the_first_of_ours_that_leads_through_a_nat_is_awaited_once() -> None:
    hold = HoldOff()
    hold.begin(OLD)
    assert not hold.ends_with(candidate("host"), "host")
    assert not hold.ends_with(candidate("srflx", "old"), "srflx")
    assert hold.ends_with(candidate("srflx"), "srflx")
    assert not hold.ends_with(candidate("relay"), "relay")
    # What comes until both sides are ready waits with the others.
    assert hold.holds(candidate("srflx"), "srflx")


def test_another_restart_begins_anew() -> None:
    hold = HoldOff()
    hold.begin(OLD)
    hold.holds(candidate("srflx"), "srflx")
    hold.begin(frozenset({"new"}))
    assert not hold.ends_with(candidate("srflx"), "srflx")
    assert hold.ends_with(candidate("srflx", "newer"), "srflx")
    assert hold.over() == []
