"""What the service manager hears, over a real socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.notify import Manager, take_manager


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        yield ear


def test_the_environment_names_it_and_no_child_will_hear_of_it(tmp_path: Path) -> None:
    given = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid()), "LANG": "C"}
    assert take_manager(given) == Manager("/run/n", 3.0)
    assert given == {"LANG": "C"}


@pytest.mark.parametrize(
    ("environ", "manager"),
    [
        ({}, Manager()),
        ({"NOTIFY_SOCKET": "vsock:2:1"}, Manager()),
        ({"NOTIFY_SOCKET": "@n"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "x"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "0"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, Manager("@n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000"}, Manager("@n", 0.001)),
    ],
)
def test_what_is_none_is_told_nothing(environ: dict[str, str], manager: Manager) -> None:
    assert take_manager(environ) == manager


async def test_it_hears_each_step_and_that_the_loop_turns(heard: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    async def said() -> str:
        return (await asyncio.wait_for(loop.sock_recv(heard, 1000), 30)).decode()

    manager = Manager(heard.getsockname(), 0.01)
    manager.ready()
    assert await said() == "READY=1"
    manager.reloading()
    assert (await said()).startswith("RELOADING=1\nMONOTONIC_USEC=")
    async with manager.watched():
        assert [await said(), await said()] == ["WATCHDOG=1"] * 2
    manager.stopping(within=2)
    while (last := await said()) == "WATCHDOG=1":
        pass
    assert last == "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000"


async def test_an_abstract_name_is_one_too_and_a_manager_that_has_gone_ends_nothing() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("")  # Linux chooses a name
        manager = Manager("@" + ear.getsockname()[1:].decode())
        manager.ready()
        assert ear.recv(100) == b"READY=1"
    manager.ready()
    Manager().ready()
