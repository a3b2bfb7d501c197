"""The rate limit."""

from backend.access.limits import Buckets, TokenBucket


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


def test_each_caller_has_a_bucket_of_its_own() -> None:
    buckets = Buckets()
    assert [buckets.take("a", rate=1.0, burst=1.0, now=now) for now in (0.0, 0.5, 1.0)] == [True, False, True]
    assert buckets.take("b", rate=1.0, burst=1.0, now=1.0)


def test_no_more_callers_are_remembered_than_there_is_room_for() -> None:
    buckets = Buckets()
    for number in range(10_000):
        buckets.take(str(number), rate=1.0, burst=1.0, now=0.0)
    assert len(buckets._buckets) == 4096
    assert buckets.take("0", rate=1.0, burst=1.0, now=0.0), "it was silent for longest"
