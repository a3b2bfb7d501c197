"""The local coturn where this machine is now: with addresses that a test makes up, and in a network that changes."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path

import pytest

from backend.ice import local_turn
from backend.ice.interfaces import parse_addresses
from backend.ice.local_turn import LocalTurn
from tests.unit.waiting import until

ROOT = Path(__file__).parents[4]


class Machine:
    """Its addresses, which change. Who does not listen is not told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] = []
        self.when_asked: Callable[[], None] | None = None
        """Happens once, just after the addresses were read."""
        self._changes: asyncio.Queue[None] | None = None
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(local_turn, "own_addresses", self._own_addresses)
        monkeypatch.setattr(local_turn, "primary_addresses", list)
        monkeypatch.setattr(local_turn, "address_changes", self._told)

    def has(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        if self._changes is not None:
            self._loop.call_soon_threadsafe(self._changes.put_nowait, None)

    def _own_addresses(self) -> list[IPv4Interface | IPv6Interface]:
        found = [ip_interface(text) for text in self.addresses]
        happens, self.when_asked = self.when_asked, None
        if happens:
            happens()
        return found

    @contextlib.contextmanager
    def _told(self) -> Iterator[AsyncIterator[None]]:
        self._changes = asyncio.Queue()
        yield self._said(self._changes)

    @staticmethod
    async def _said(changes: asyncio.Queue[None]) -> AsyncIterator[None]:
        while True:
            await changes.get()
            yield


@pytest.fixture
async def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def listening(turn: LocalTurn) -> tuple[str, ...]:
    return turn.coturn.configuration.network.listening if turn.coturn and turn.coturn.ready.is_set() else ()


async def test_started_while_the_network_comes_up_it_works(machine: Machine) -> None:
    machine.when_asked = lambda: machine.has("127.0.0.1/8")
    async with LocalTurn(["0.0.0.0"], name="", tls=None).running(is_wanted=True) as turn:
        await until(lambda: listening(turn) == ("127.0.0.1",))


async def test_started_before_the_network_it_works_once_there_is_one(machine: Machine) -> None:
    async with LocalTurn(["0.0.0.0"], name="", tls=None).running(is_wanted=True) as turn:
        assert turn.coturn is None
        assert turn.servers("192.0.2.1") == ()
        machine.has("127.0.0.1/8")
        await until(lambda: listening(turn) == ("127.0.0.1",))


async def test_moved_to_another_network_it_goes_on_with_the_same_secret(machine: Machine) -> None:
    machine.addresses = ["127.0.0.1/8", "127.0.0.2/8"]
    async with LocalTurn(["0.0.0.0"], name="", tls=None).running(is_wanted=True) as turn:
        assert turn.coturn
        first, pid = turn.coturn.configuration, turn.coturn.pid
        machine.has("127.0.0.1/8", "127.0.0.3/8")
        await until(lambda: listening(turn) == ("127.0.0.1", "127.0.0.3"))
        second = turn.coturn.configuration
        assert (second.secret, second.port) == (first.secret, first.port)
        assert turn.coturn.pid != pid
        machine.has("127.0.0.1/8", "127.0.0.3/8")
        machine.has("127.0.0.1/8", "127.0.0.4/8")
        await until(lambda: listening(turn) == ("127.0.0.1", "127.0.0.4"))


async def test_what_changes_nothing_leaves_relays_alone(machine: Machine) -> None:
    machine.addresses = ["127.0.0.1/8"]
    async with LocalTurn(["127.0.0.1"], name="", tls=None).running(is_wanted=True) as turn:
        assert turn.coturn
        pid = turn.coturn.pid
        machine.has("127.0.0.1/8")
        await turn.want(is_wanted=True)
        assert turn.coturn.pid == pid


async def test_with_a_name_it_is_told_and_coturn_is_on_every_address(machine: Machine) -> None:
    machine.addresses = ["127.0.0.1/8", "127.0.0.2/8"]
    async with LocalTurn(["127.0.0.1"], name="turn.example", tls=None).running(is_wanted=True) as turn:
        port = turn.coturn.configuration.port if turn.coturn else 0
        stun, relay = turn.servers("anything.example")
        assert stun.urls == (f"stun:turn.example:{port}",)
        assert relay.urls[0] == f"turn:turn.example:{port}?transport=udp"
        assert listening(turn) == ("127.0.0.1", "127.0.0.2")
    async with LocalTurn(["127.0.0.1"], name="localhost", tls=None).running(is_wanted=True) as turn:
        assert listening(turn) == ("127.0.0.1",)
        assert turn.servers("anything.example")[0].urls[0].startswith("stun:localhost:")


def test_addresses_that_come_and_go_are_not_counted_on() -> None:
    info = [
        {"local": "2001:db8::1", "prefixlen": 64},
        {"local": "2001:db8::2", "prefixlen": 64, "temporary": True},
        {"local": "2001:db8::3", "prefixlen": 64, "tentative": True},
        {"local": "2001:db8::4", "prefixlen": 64, "dadfailed": True},
    ]
    assert parse_addresses(json.dumps([{"addr_info": info}]).encode()) == [ip_interface("2001:db8::1/64")]


SCRIPT = """
import asyncio
from backend.ice.local_turn import LocalTurn
async def main():
    async with LocalTurn(["0.0.0.0"], name="", tls=None).running(is_wanted=True) as turn:
        while True:
            coturn = turn.coturn
            ready = coturn is not None and coturn.ready.is_set()
            print(*(coturn.configuration.network.relaying if ready else ()), sep=",", flush=True)
            await asyncio.sleep(0.05)
asyncio.run(main())
"""
NETWORK = """
set -e
ip link add lan0 type veth peer name lan1
python=$1; shift
exec "$python" -c "$1"
"""


async def test_in_a_real_network_it_follows_within_seconds(tmp_path: Path) -> None:
    """One that is made for it: first there is none, then one, then another."""
    namespace = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    process = await asyncio.create_subprocess_exec(
        *namespace, "sh", "-c", NETWORK, "sh", sys.executable, SCRIPT,
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output = process.stdout
    assert output

    async def says(wanted: str) -> None:
        async with asyncio.timeout(50):
            while (line := await output.readline()) and line.decode().strip() != wanted:
                pass
        assert line, (await process.communicate())[1].decode()

    def ip(*arguments: str) -> None:
        subprocess.run(["nsenter", f"--net=/proc/{process.pid}/ns/net", "ip", *arguments], check=True)

    try:
        await says("")
        ip("link", "set", "lo", "up")
        await says("127.0.0.1")
        for device in ("lan0", "lan1"):
            ip("link", "set", device, "up")
        ip("address", "add", "198.51.100.7/24", "dev", "lan0")
        await says("198.51.100.7")
        ip("address", "flush", "dev", "lan0")
        ip("address", "add", "203.0.113.7/24", "dev", "lan0")
        await says("203.0.113.7")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
