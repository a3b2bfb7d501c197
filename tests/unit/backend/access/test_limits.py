"""The rate limit."""

from backend.access.limits import TokenBucket


def test_a_burst_is_allowed_and_what_is_above_it_is_not() -> None:
    bucket = TokenBucket.full(rate=1.0, burst=3.0, now=10.0)
    assert [bucket.take(now=10.0) for _ in range(4)] == [True, True, True, False]


def test_tokens_come_back_with_time_up_to_the_burst() -> None:
    bucket = TokenBucket.full(rate=2.0, burst=2.0, now=0.0)
    assert bucket.take(2.0, now=0.0)
    assert not bucket.take(now=0.4)
    assert bucket.take(now=0.5)
    assert not bucket.take(3.0, now=1000.0)
    assert bucket.take(2.0, now=1000.0)


def test_a_refusal_costs_nothing() -> None:
    bucket = TokenBucket.full(rate=0.0, burst=2.0, now=0.0)
    assert not bucket.take(3.0, now=0.0)
    assert bucket.take(2.0, now=0.0)
