"""A connection that replaces a lost one, and the next one in its place."""

from pyapp.core.commands import StartTimer
from pyapp.core.path.facts import Output, ReplacementWanted
from pyapp.core.path.replacement import LAST_RENEW_AFTER, RENEW, RENEW_AFTER, RENEW_SOON, Replacement
from pyapp.protocol.entries import Entry
from tests.unit.pyapp.parts import Parts


def replacement(parts: Parts, *, works: bool = False) -> Replacement:
    parts.observation.established = works
    return Replacement(parts.health, parts.observation, parts.outside)


def pause(outputs: list[Output]) -> float:
    (timer,) = outputs
    assert isinstance(timer, StartTimer)
    assert timer.timer == RENEW
    return timer.after


def test_has_growing_time_up_to_a_limit() -> None:
    one = replacement(Parts())
    pauses = [pause(one.begin(number)) for number in range(1, 9)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (RENEW_AFTER, LAST_RENEW_AFTER)


def test_is_replaced_soon_while_it_is_awaited() -> None:
    one = replacement(Parts())
    assert one.soon() == [], "the first connection replaces nothing"
    one.begin(1)
    assert pause(one.soon()) == RENEW_SOON
    assert replacement(Parts(), works=True).soon() == []


def test_is_replaced_unless_it_works() -> None:
    assert replacement(Parts()).due() == [ReplacementWanted()]
    assert replacement(Parts(), works=True).due() == []


def test_waits_for_the_server_once() -> None:
    parts = Parts()
    one = replacement(parts)
    parts.outside.signaling_is_there = False
    assert one.due() == []
    assert one.joined()
    assert not one.joined()


def test_says_how_long_it_took() -> None:
    parts = Parts()
    one = replacement(parts)
    assert one.works(2.5) == []
    assert parts.health.last_outage is None
    one.begin(1)
    (said,) = one.works(2.5)
    assert isinstance(said, Entry)
    assert said.data()["seconds"] == parts.health.last_outage == 2.5
