"""One timer for many."""

import asyncio

from backend.timeouts import Timeouts


async def test_they_expire_in_order_and_those_taken_back_do_not() -> None:
    expired = asyncio.Queue[str]()
    timeouts = Timeouts(expired.put_nowait)
    for name in "abc":
        timeouts.start(name, 0.01)
    timeouts.start("later", 3600)
    timeouts.cancel("b")
    timeouts.cancel("unknown")
    assert [await asyncio.wait_for(expired.get(), 20) for _ in range(2)] == ["a", "c"]
    assert expired.empty()
    assert timeouts.stop() == ["later"]


async def test_another_timer_is_set_after_all_have_expired() -> None:
    expired = asyncio.Queue[str]()
    timeouts = Timeouts(expired.put_nowait)
    for name in "ab":
        timeouts.start(name, 0.0)
        assert await asyncio.wait_for(expired.get(), 20) == name


async def test_one_that_expires_takes_another_back() -> None:
    expired: list[str] = []
    done = asyncio.Event()

    def expire(name: str) -> None:
        expired.append(name)
        timeouts.cancel("b")
        if name == "c":
            done.set()

    timeouts = Timeouts(expire)
    for name in "abc":
        timeouts.start(name, 0.0)
    await asyncio.wait_for(done.wait(), 20)
    assert expired == ["a", "c"]


async def test_one_that_fails_does_not_keep_the_others() -> None:
    done = asyncio.Event()

    def expire(name: str) -> None:
        if name == "a":
            raise RuntimeError
        done.set()

    timeouts = Timeouts(expire)
    for name in "ab":
        timeouts.start(name, 0.0)
    await asyncio.wait_for(done.wait(), 5)


async def test_nothing_expires_once_they_are_stopped() -> None:
    expired: list[str] = []
    timeouts = Timeouts(expired.append)
    timeouts.start("a", 0.0)
    timeouts.stop()
    await asyncio.sleep(0)
    assert expired == []
