"""A timer that is set anew."""

import asyncio

from backend.signaling.alarm import Alarm


async def test_it_rings_once_at_the_time_that_was_set_last() -> None:
    loop, rung = asyncio.get_running_loop(), asyncio.Event()
    alarm = Alarm(rung.set)
    alarm.set(loop.time() + 3600)
    alarm.set(loop.time())
    assert alarm.is_set
    await asyncio.wait_for(rung.wait(), 20)
    assert not alarm.is_set


async def test_setting_it_to_the_same_time_does_not_begin_anew() -> None:
    loop, rings = asyncio.get_running_loop(), asyncio.Queue[None]()
    alarm = Alarm(lambda: rings.put_nowait(None))
    at = loop.time()
    alarm.set(at)
    timer = alarm._timer
    alarm.set(at)
    assert alarm._timer is timer
    await asyncio.wait_for(rings.get(), 20)
    assert rings.empty()


async def test_without_a_time_it_does_not_ring() -> None:
    alarm = Alarm(lambda: None)
    alarm.set(asyncio.get_running_loop().time() + 3600)
    alarm.set(None)
    assert not alarm.is_set
