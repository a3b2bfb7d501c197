"""Which relays a gathering uses, and for how long; with a connection around it in test_relaying.py."""

from dataclasses import replace
from typing import Literal

import pytest

from pyapp.core import commands
from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.path.relays import (
    DIRECT,
    FIRST_DIRECT_AFTER,
    LAST_DIRECT_AFTER,
    MOST_SUSPECTED,
    RELEASE,
    RELEASE_AFTER,
    Relays,
)
from pyapp.protocol.ice import IceConfiguration, IceServer

ONE, TWO = "turn:one.example:3478", "turn:two.example:3478"
CONFIGURATION = IceConfiguration((IceServer((ONE,), "u", "c"), IceServer((TWO,), "u", "c")))


def relays(policy: Literal["all", "relay"] = "all") -> Relays:
    known = Relays(policy)
    known.configured(CONFIGURATION, 0.0)
    return known


def report(kind: str) -> PathReport:
    return PathReport("pair", CandidateFacts(kind, "udp"), CandidateFacts("host", "udp"))


def first(configuration: IceConfiguration) -> str:
    return configuration.servers[0].urls[0]


@pytest.mark.parametrize(
    ("protocol", "address", "url"),
    [
        ("udp", "192.0.2.1", ""),  # of either
        ("tcp", "192.0.2.1", f"{TWO}?transport=tcp"),
        ("udp", "192.0.2.3", "turn:192.0.2.3"),
        ("tls", "192.0.2.1", ""),  # of none
        ("udp", "198.51.100.1", ONE),  # as the console's server has seen it
        ("udp", "2001:db8::1", "turn:[2001:db8::1]"),
    ],
)
def test_a_relay_that_the_browser_does_not_name_is_named_if_only_one_can_be_it(
    protocol: str, address: str, url: str
) -> None:
    known = relays()
    others = IceServer((f"{TWO}?transport=tcp", "turn:192.0.2.3", "turn:[2001:db8::1]"), "u", "c")
    one, two = CONFIGURATION.servers
    known.configured(IceConfiguration((replace(one, relayed=("198.51.100.1",)), two, others)), 0.0)
    local = CandidateFacts("relay", "udp", address, relay_protocol=protocol)
    assert known.named(replace(report("relay"), local=local)).server == url
    told = replace(local, url="turn:elsewhere.example")
    assert known.named(replace(report("relay"), local=told)).server == "turn:elsewhere.example"


class TestARelayThatWentSilent:
    def test_comes_last_until_it_is_seen_well_again(self) -> None:
        known = relays()
        assert known.set_aside(ONE)
        assert first(known.ranked) == TWO
        assert known.answered(TWO) == ""
        assert known.answered(ONE) == "one.example"
        assert known.ranked == CONFIGURATION

    def test_is_set_aside_whatever_the_other_side_says_of_others(self) -> None:
        known = relays()
        for number in range(1000):
            known.set_aside(f"turn:{number}.example:3478")
        assert len(known.suspected) == MOST_SUSPECTED
        assert known.set_aside(ONE)
        assert first(known.ranked) == TWO

    def test_comes_last_in_a_later_configuration_too(self) -> None:
        known = relays()
        known.set_aside(ONE)
        known.configured(CONFIGURATION, 0.0)
        assert first(known.usual(gathered=True)) == TWO

    @pytest.mark.parametrize("url", ["", "turn:not a host"])
    def test_is_not_what_has_no_such_name(self, url: str) -> None:
        known = relays()
        assert not known.set_aside(url)
        assert known.ranked == CONFIGURATION


class TestCredentials:
    def test_expire_with_the_lifetime_of_the_configuration(self) -> None:
        known = relays()
        assert not known.have_expired(1e9)
        known.configured(replace(CONFIGURATION, lifetime=600.0), 1000.0)
        assert [known.have_expired(now) for now in (1599.0, 1600.0)] == [False, True]


class TestRelaysThatWereGivenUp:
    def test_are_not_asked(self) -> None:
        assert relays().usual(gathered=False).relay_hosts == ()

    def test_were_not_needed_for_a_while(self) -> None:
        wait = commands.StartTimer(RELEASE, RELEASE_AFTER, only_if_idle=True)
        assert relays().review(report("host"), gathered=True) == [wait]
        assert relays().review(report("host"), gathered=False) == []


class TestADirectPath:
    def test_is_looked_for_with_growing_pauses_until_something_changes(self) -> None:
        known = relays()
        for pause in (FIRST_DIRECT_AFTER, 2 * FIRST_DIRECT_AFTER, 4 * FIRST_DIRECT_AFTER):
            assert known.review(report("relay"), gathered=True) == [
                commands.StartTimer(DIRECT, pause, only_if_idle=True)
            ]
            known.looked_for_direct_path()
        for _ in range(9):
            known.looked_for_direct_path()
        (last,) = known.review(report("relay"), gathered=True)
        assert last == commands.StartTimer(DIRECT, LAST_DIRECT_AFTER, only_if_idle=True)
        assert known.surroundings_changed() == [commands.CancelTimer(DIRECT)]
        (again,) = known.review(report("relay"), gathered=True)
        assert again == commands.StartTimer(DIRECT, FIRST_DIRECT_AFTER, only_if_idle=True)

    @pytest.mark.parametrize("kind", ["relay", "host"])
    def test_is_not_looked_for_where_only_relays_are_wanted(self, kind: str) -> None:
        known = relays("relay")
        assert known.ranked.policy == "relay"
        assert known.review(report(kind), gathered=True) == []
