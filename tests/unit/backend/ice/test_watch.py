"""What is known of the servers, and what of it a page gets."""

import asyncio
import logging
import time
from dataclasses import replace

import pytest

from backend.ice import watch as module
from backend.ice.health import Check
from backend.ice.ice_servers import ConfiguredServer
from backend.ice.watch import CHECK_AGAIN_AFTER, CHECK_EVERY, Watch
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

STUN = ConfiguredServer(urls=("stun:s.example",))
ONE = ConfiguredServer(urls=("turn:one.example:3478?transport=udp", "turns:one.example:443"), secret="s")
TWO = ConfiguredServer(urls=("turn:two.example:3478?transport=udp", "turns:two.example:443"), secret="s")
SERVERS = [ONE, STUN, TWO]


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Have no host answer whose name is put in here."""
    hosts: set[str] = set()

    async def check(url: str, username: str = "", credential: str = "", **_: object) -> Check:
        await asyncio.sleep(0)
        assert bool(username and credential) == url.startswith("turn")
        return Check("no answer") if any(host in url for host in hosts) else Check(seconds=0.01)

    monkeypatch.setattr(module, "check", check)
    return hosts


def entry(event: str, at: float = 0.0, **data: Scalar) -> JournalEntry:
    return JournalEntry(number=1, at=at * 1000, event=event, data=data)


async def test_a_host_that_dies_and_is_back(dead: set[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ice_console.ice")
    watch = Watch()
    await watch.round(SERVERS)
    assert watch.next_check_after == CHECK_EVERY
    dead.add("one.example")
    await watch.round(SERVERS)
    assert watch.next_check_after == CHECK_AGAIN_AFTER
    assert watch.well(SERVERS) == SERVERS
    await watch.round(SERVERS)
    assert watch.next_check_after == CHECK_EVERY
    assert watch.well(SERVERS) == [STUN, TWO]
    dead.clear()
    for _ in range(2):
        await watch.round(SERVERS)
    assert watch.well(SERVERS) == SERVERS
    assert caplog.text.count("fails for all and is left out: no answer") == 2
    assert caplog.text.count("is well again") == 2


async def test_of_a_host_only_what_fails_is_left_out(dead: set[str]) -> None:
    dead.add("turns:one")
    watch = Watch()
    for _ in range(2):
        await watch.round(SERVERS)
    assert [server.urls for server in watch.well(SERVERS)] == [ONE.urls[:1], STUN.urls, TWO.urls]


async def test_if_all_fail_all_are_given(dead: set[str]) -> None:
    dead.add("example")
    watch = Watch()
    for _ in range(3):
        await watch.round(SERVERS)
    assert watch.well(SERVERS) == SERVERS
    for number in range(4):
        told = [entry("candidate-error", url=url, code=701) for url in (*ONE.urls, *TWO.urls)]
        watch.heard(f"page{number}", f"192.0.{number}.7", told)
    await watch.round(SERVERS)
    assert len(watch.health.left_out()) == 4
    assert watch.well(SERVERS) == SERVERS


async def test_the_nearest_hosts_are_first_for_the_network_that_found_so() -> None:
    watch = Watch()
    watch.health.keep([*ONE.urls, *TWO.urls])
    for number in range(3):
        told = [
            entry("candidate-local", 10.0, type="host", server="", ufrag=f"u{number}"),
            entry("candidate-local", 10.2, type="relay", server=ONE.urls[0], ufrag=f"u{number}"),
            entry("candidate-local", 10.1, type="relay", server=TWO.urls[0], ufrag=f"u{number}"),
            entry("candidate-local", 10.0, type="relay", server="turns:one.example:443?transport=tcp", ufrag="u"),
            entry("candidate-local", 10.3, end=True),
            entry("candidate-local", 10.3, problem="what"),
            entry("candidate-local", 10.3, type="relay", server="nonsense"),
            entry("candidate-local", 10.3, type="relay", server=5),
        ]
        watch.heard("page", "192.0.2.7", told)
    assert watch.nearest_first(SERVERS, "192.0.2.200") == [TWO, STUN, ONE]
    assert watch.nearest_first(SERVERS, "198.51.100.1") == SERVERS
    assert watch.nearest_first([STUN], "192.0.2.7") == [STUN]


async def test_a_host_beside_the_page_is_measured() -> None:
    """As a page without permission to use a camera told it in the lab."""
    watch = Watch()
    watch.health.keep([*ONE.urls, *TWO.urls])
    for number in range(3):
        ufrag = f"u{number}"
        told = [
            entry("state", 10.000, state="ice-gathering", value="gathering"),
            entry("candidate-local", 10.004, type="srflx", server="stun:two.example:3478", ufrag=ufrag),
            entry("candidate-local", 10.006, type="host", server="", ufrag=ufrag),
            entry("candidate-local", 10.050, type="relay", server=TWO.urls[0], ufrag=ufrag),
            entry("candidate-local", 10.211, type="relay", server=ONE.urls[0], ufrag=ufrag),
            entry("state", 10.295, state="ice-gathering", value="complete"),
        ]
        watch.heard("page", "192.0.2.7", told)
    assert watch.nearest_first(SERVERS, "192.0.2.200") == [TWO, STUN, ONE]


@pytest.mark.parametrize(
    "urls",
    [
        None,
        "what",
        [None],
        [{}],
        [{"url": 5, "answered": 7}],
        [{"url": "x", "answered": "7"}],
        [{"url": ONE.urls[0], "answered": 10**400}],
    ],
)
async def test_a_check_of_a_page_measures_as_well(urls: object) -> None:
    watch = Watch()
    watch.health.keep([*ONE.urls, *TWO.urls])
    found = [
        {"url": ONE.urls[0], "answered": 200.5},
        {"url": TWO.urls[0], "answered": 40},
        {"url": ONE.urls[1], "answered": 10.0},  # over TLS there are other round trips
        {"url": TWO.urls[1], "answered": None, "cause": "no-answer"},
    ]
    for _ in range(3):
        watch.tested("192.0.2.7", {"urls": urls})
        watch.tested("192.0.2.7", {"urls": found})
    assert watch.nearest_first(SERVERS, "192.0.2.200") == [TWO, STUN, ONE]
    assert watch.nearest_first(SERVERS, "198.51.100.1") == SERVERS


async def test_a_host_that_a_page_has_invented_is_not_kept() -> None:
    watch = Watch()
    watch.health.keep([*ONE.urls, *TWO.urls])
    invented = [f"turn:{number}.example:3478?transport=udp" for number in range(100)]
    watch.tested("192.0.2.7", {"urls": [{"url": url, "answered": 5} for url in invented]})
    told = [entry("candidate-local", 10.1, type="relay", server=url, ufrag="u") for url in (*invented, ONE.urls[0])]
    watch.heard("page", "192.0.2.7", [entry("candidate-local", 10.0, type="host", server="", ufrag="u"), *told])
    watch.tested("192.0.2.7", {"urls": [{"url": TWO.urls[0], "answered": 40}]})
    assert set(watch.nearest._networks["192.0.2.0/24"].seconds) == {"one.example", "two.example"}


async def test_a_host_is_known_whose_urls_are_too_many_to_be_checked(dead: set[str]) -> None:
    watch = Watch()
    assert list(await watch.round(SERVERS, most=1)) == [ONE.urls[0]]
    assert watch.health.knows("two.example")
    assert not watch.health.knows("three.example")
    assert not dead


async def test_what_is_too_much_to_be_checked_is_said_once(dead: set[str], caplog: pytest.LogCaptureFixture) -> None:
    assert not dead
    watch = Watch()
    servers = [STUN, replace(ONE, urls=tuple(f"turn:{number}.example" for number in range(module.MOST_URLS + 1)))]
    for _ in range(2):
        await watch.round(servers)
    assert [record.getMessage() for record in caplog.records] == [
        "! 2 URLs are never checked, from turn:63.example on: at most 64 are"
    ]


async def test_pages_say_that_a_server_is_there(dead: set[str]) -> None:
    watch = Watch()
    dead.add("one.example")
    await watch.round(SERVERS)
    for url in ONE.urls:
        watch.heard("page", "192.0.2.7", [entry("candidate-local", type="relay", server=url)])
    await watch.round(SERVERS)
    assert watch.well(SERVERS) == SERVERS


async def test_errors_of_pages_are_heard() -> None:
    watch = Watch()
    watch.health.keep(list(ONE.urls))
    for number in range(4):
        told = [entry("candidate-error", url=ONE.urls[0], code=701), entry("candidate-error", url=None), entry("other")]
        watch.heard(f"page{number}", f"192.0.{number}.7", told)
    watch._review()
    assert list(watch.health.left_out()) == [ONE.urls[0]]


async def test_a_name_without_an_ipv6_address_is_no_silent_server() -> None:
    watch = Watch()
    watch.health.keep([ONE.urls[0]])
    for reason, left_out in (("TURN host lookup received error.", False), ("TURN allocate request timed out.", True)):
        told = [entry("candidate-error", url=ONE.urls[0], code=701, reason=reason)]
        for number in range(4):
            watch.heard(f"page{number}", f"192.0.{number}.7", told)
        watch.health.review(time.monotonic())
        assert bool(watch.health.left_out()) == left_out, reason


async def test_a_page_is_told_where_relays_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = iter(["192.0.2.1", "192.0.2.1", "2001:db8::1", "192.0.2.2"])

    async def check(url: str, *_: object, **__: object) -> Check:
        await asyncio.sleep(0)
        return Check(seconds=0.01, relayed=next(addresses) if "one" in url else "")

    monkeypatch.setattr(module, "check", check)
    watch = Watch()
    for _ in range(2):
        await watch.round(SERVERS)
    told = watch.with_relayed(IceConfiguration(tuple(IceServer(server.urls) for server in SERVERS)))
    assert [server.relayed for server in told.servers] == [("192.0.2.1", "2001:db8::1", "192.0.2.2"), (), ()]
