"""Revocations on the command line are in force within a second, whatever became of those before."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from backend.settings import StartError
from backend.web.keys import ACCESS, CHAIN, SIGNALING
from backend.web.revoking import put_in_force_revocations, watch_revocations

BOUND = 1.0
"""Seconds."""


class Sleeping:
    """Counts seconds instead of waiting, and ends after so many of them."""

    def __init__(self, seconds: float) -> None:
        self.now, self._end = 0.0, seconds

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        if self.now > self._end:
            raise asyncio.CancelledError


async def looks(put_in_force: Callable[[], None], *, seconds: float = 10.0) -> list[float]:
    """Return when it was looked."""
    sleeping, at = Sleeping(seconds), list[float]()

    def look() -> None:
        at.append(sleeping.now)
        put_in_force()

    with pytest.raises(asyncio.CancelledError):
        await watch_revocations(look, sleep=sleeping.sleep)
    return at


@pytest.mark.parametrize("error", [None, StartError("access.sqlite: disk I/O error"), KeyError("a fault")])
async def test_there_is_a_look_within_a_second_of_anything(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    def put_in_force() -> None:
        if error:
            raise error

    at = await looks(put_in_force)
    # Half of it is for what the busy server does before it looks.
    assert all(after - before <= BOUND / 2 for before, after in zip([0.0, *at], [*at, 10.0], strict=True))
    assert bool(caplog.records) == bool(error)


async def test_a_file_that_cannot_be_read_is_not_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    def put_in_force() -> None:
        raise StartError("access.sqlite: disk I/O error")

    at = await looks(put_in_force)
    assert [record.getMessage() for record in caplog.records] == ["! access.sqlite: disk I/O error"]
    assert len(at) > 1


@pytest.mark.parametrize("fault", ["signaling", "chain", ""])
def test_places_and_credentials_go_whatever_becomes_of_the_other(fault: str) -> None:
    done: list[str] = []

    def act(name: str, invitations: set[str]) -> None:
        done.append(f"{name} {invitations}")
        if name == fault:
            raise KeyError(name)

    app: Any = {
        ACCESS: SimpleNamespace(store=SimpleNamespace(newly_revoked=lambda: {"a"})),
        SIGNALING: SimpleNamespace(revoke=partial(act, "signaling")),
        CHAIN: SimpleNamespace(revoked=partial(act, "chain")),
    }
    with pytest.raises(KeyError, match=fault) if fault else contextlib.nullcontext():  # which the watch logs
        put_in_force_revocations(app)
    assert done == ["signaling {'a'}", "chain {'a'}"]
