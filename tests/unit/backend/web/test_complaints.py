"""A warning that any request can cause is in the log, and does not fill it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from backend.web.complaints import Complaints
from backend.web.server import Serving
from pyapp.protocol.access import ORIGIN_HEADER

Start = Callable[..., Awaitable[Serving]]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_what_is_left_out_is_counted_and_kinds_are_apart(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    complaints = Complaints(clock=lambda: now)
    for number in range(10):
        complaints.warn("one", f"one {number}")
    complaints.warn("two", "two")
    now = 1.0
    complaints.warn("one", "one again")
    assert messages(caplog) == ["! one 0", "! two", "! one again (9 more like it before)"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration of a server that is slow to repeat itself."""
    monkeypatch.setattr("backend.seldom.SHORTEST", 1000.0)
    monkeypatch.setattr("backend.seldom.LONGEST", 1000.0)
    path = tmp_path / "ice.toml"
    path.write_text('[access]\nproxies = ["127.0.0.1"]\nidentity_header = "X-Email"\n')
    return path


@pytest.mark.parametrize(
    "asked",
    [
        ("ws", []),
        ("ice", [("Origin", "https://evil.example")]),
        ("healthz", [(ORIGIN_HEADER, "https://evil.example")]),
        ("healthz", [("X-Email", "eve@example.org"), ("X-Email", "ada@example.org")]),
    ],
)
async def test_who_asks_again_and_again_is_complained_of_once(
    start: Start,
    http: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    config: Path,
    asked: tuple[str, list[tuple[str, str]]],
) -> None:
    server, (path, headers) = await start(config=config), asked
    for _ in range(5):
        async with http.get(server.address + path, headers=headers) as response:
            await response.read()
    assert len([one for one in messages(caplog) if one.startswith("! ")]) == 1
