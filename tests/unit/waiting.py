"""Waiting for what sets no event here: files, other processes, another thread."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` is true. Raises `TimeoutError` after 50 s."""
    async with asyncio.timeout(50):
        while not condition():  # noqa: ASYNC110 - nothing tells us when to look
            await asyncio.sleep(0.01)
