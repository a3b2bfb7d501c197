"""A provider that failed is left alone for a while, and longer each time."""

from backend.ice.providers.breaker import LONGEST_PAUSE, LONGEST_WISH, Breaker


def test_pauses_grow_and_end() -> None:
    breaker = Breaker()
    assert not breaker.is_open(0.0)
    pauses = []
    for _ in range(40):
        breaker.failed(100.0)
        pauses.append(breaker.until - 100.0)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE
    assert breaker.is_open(100.0)
    assert not breaker.is_open(100.0 + LONGEST_PAUSE)
    breaker.succeeded()
    assert not breaker.is_open(100.0)
    breaker.failed(100.0)
    assert breaker.until == 101.0


def test_what_a_provider_wishes_is_heard_within_bounds() -> None:
    breaker = Breaker()
    breaker.failed(0.0, wish=120.0)
    assert breaker.until == 120.0
    breaker.failed(0.0, wish=1e9)
    assert breaker.until == LONGEST_WISH
