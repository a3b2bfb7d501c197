"""The lab proves itself: every kind is measured before anything else is believed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from tests.lab import kinds
from tests.lab.delay import Delay
from tests.lab.expect import Path, Relation, best
from tests.lab.kinds import Firewall, Kind
from tests.lab.probe import Tcp, Udp
from tests.lab.sites import TURN1, TURN2, Place, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.conftest import Attach
    from tests.lab.lab import Lab

pytestmark = pytest.mark.patient  # for silence, above all

_AT_ONCE = 8  # probes: they mostly wait

_TCP = {
    Firewall.OPEN: Tcp(tcp_3478=True, tcp_443=True, tls_443=True, proxy_443=None, proxy_3478=None),
    Firewall.NO_UDP: Tcp(tcp_3478=True, tcp_443=True, tls_443=True, proxy_443=None, proxy_3478=None),
    Firewall.TCP_443: Tcp(tcp_3478=False, tcp_443=True, tls_443=True, proxy_443=None, proxy_3478=None),
    Firewall.TLS_443: Tcp(tcp_3478=False, tcp_443=False, tls_443=True, proxy_443=None, proxy_3478=None),
    Firewall.PROXY: Tcp(tcp_3478=False, tcp_443=False, tls_443=False, proxy_443=True, proxy_3478=False),
}

every_kind = pytest.mark.parametrize("kind", kinds.ALL, ids=lambda kind: kind.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found at one site."""

    udp: Udp | None
    udp6: Udp | None
    tcp: tuple[Tcp, Tcp]


@pytest.fixture(scope="module")
def twins(lab: Lab) -> Iterator[dict[Kind, tuple[Place, Place]]]:
    """Two sites of each kind, the first with two hosts."""
    standing = {
        kind: (
            lab.attach(Site(name=f"{kind.name}-a", kind=kind, hosts=2)),
            lab.attach(Site(name=f"{kind.name}-b", kind=kind)),
        )
        for kind in kinds.ALL
    }
    yield standing
    for places in standing.values():
        for place in places:
            lab.detach(place)


@pytest.fixture(scope="module")
def measured(lab: Lab, twins: dict[Kind, tuple[Place, Place]]) -> dict[Kind, Measured]:
    """Measure the first site of each kind, side by side."""

    def measure(kind: Kind) -> Measured:
        host = twins[kind][0].hosts[0]
        return Measured(
            udp=lab.measure_udp(host),
            udp6=lab.measure_udp(host, ipv6=True) if kind.ipv6 else None,
            tcp=(lab.measure_tcp(host, TURN1), lab.measure_tcp(host, TURN2)),
        )

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(kinds.ALL, pool.map(measure, kinds.ALL), strict=True))


def test_the_lab_is_measured_before_anything_else_is_tested_in_it(request: pytest.FixtureRequest) -> None:
    paths = [item.path for item in request.session.items if item.path.parent == request.path.parent]
    assert paths == sorted(paths, key=lambda path: path != request.path)


@every_kind
def test_mapping_and_filtering_are_those_of_the_kind(
    twins: dict[Kind, tuple[Place, Place]], measured: dict[Kind, Measured], kind: Kind
) -> None:
    found = measured[kind].udp
    if not kind.udp:
        assert found is None
        return
    assert found
    if kind.ipv4 or kind.nat64:
        # Through a NAT64 the STUN server sees IPv4, translated as RFC 6146 says: as by a NAT of its own.
        seen = replace(kind, ipv4=True, ipv6=False, nat64=None, nat=kind.nat64) if kind.nat64 else kind
        place = twins[kind][0]
        assert (found.mapping, found.filtering) == (seen.mapping.name, seen.filtering.name)
        assert found.preserves_port == seen.preserves_ports
        assert found.hairpinning == seen.hairpinning
        assert found.translated == bool(seen.translators)
        assert found.address == str(place.public or place.hosts[0].ipv4)


@pytest.mark.parametrize("kind", [kind for kind in kinds.ALL if kind.ipv6], ids=lambda kind: kind.name)
def test_ipv6_is_not_translated_and_its_firewall_is_port_restricted(
    twins: dict[Kind, tuple[Place, Place]], measured: dict[Kind, Measured], kind: Kind
) -> None:
    found = measured[kind].udp6
    assert found
    assert (found.mapping, found.filtering, found.translated) == ("EIM", "APDF", False)
    assert found.address == str(twins[kind][0].hosts[0].ipv6)


@every_kind
def test_tcp_and_tls_reach_both_turn_servers_as_the_firewall_allows(measured: dict[Kind, Measured], kind: Kind) -> None:
    assert measured[kind].tcp == (_TCP[kind.firewall], _TCP[kind.firewall])


def test_hole_punching_succeeds_exactly_where_it_is_expected(lab: Lab, twins: dict[Kind, tuple[Place, Place]]) -> None:
    pairs = [(one, other) for at, one in enumerate(kinds.ALL) for other in kinds.ALL[at:]]
    reached = lab.punch([(twins[one][0].hosts[0], twins[other][1].hosts[0]) for one, other in pairs])
    names = [f"{one.name} {other.name}" for one, other in pairs]
    expected = [best(one, other).path is not Path.RELAY for one, other in pairs]
    assert dict(zip(names, reached, strict=True)) == dict(zip(names, expected, strict=True))


def test_hosts_of_one_lan_reach_each_other_past_their_router(lab: Lab, twins: dict[Kind, tuple[Place, Place]]) -> None:
    homes = [twins[kind][0].hosts for kind in kinds.ALL]
    reached = lab.punch([(one, other) for one, other in homes])
    expected = [best(kind, kind, Relation.SAME_LAN).path is Path.HOST for kind in kinds.ALL]
    assert reached == expected


@pytest.mark.parametrize(
    "kind",
    [
        kinds.CGN_CONE,
        replace(kinds.CGN_CONE, name="cgn-cone-no-hairpin", carrier=kinds.FULL_CONE.nat),
        kinds.CGN_SYMMETRIC,
    ],
    ids=lambda kind: kind.name,
)
def test_behind_one_carrier_only_a_hairpin_leads_to_the_neighbour(lab: Lab, attach: Attach, kind: Kind) -> None:
    one = attach(Site(name="one", kind=kind))
    other = attach(Site(name="other", kind=kind, same_carrier_as="one"))
    assert one.public == other.public
    expected = best(kind, kind, Relation.SAME_CARRIER).path is Path.DIRECT
    assert lab.punch([(one.hosts[0], other.hosts[0])]) == [expected]


def test_two_sites_with_the_same_addresses_are_two_sites(lab: Lab, attach: Attach) -> None:
    lan = IPv4Network("192.168.1.0/24")
    one, other = (attach(Site(name=name, kind=kinds.PORT_RESTRICTED, lan=lan)) for name in ("one", "other"))
    assert one.hosts[0].ipv4 == other.hosts[0].ipv4
    assert lab.punch([(one.hosts[0], other.hosts[0])]) == [True]


def test_a_mapping_lives_as_long_as_it_is_said_to(lab: Lab, attach: Attach) -> None:
    short = [
        replace(kind, nat=replace(kind.nat, lifetime=3))
        for kind in (kinds.PORT_RESTRICTED, kinds.FULL_CONE)
        if kind.nat
    ]
    hosts = [attach(Site(name=kind.name, kind=kind)).hosts[0] for kind in short]
    with ThreadPoolExecutor() as pool:
        early = [pool.submit(lab.mapping_survives, host, 0.2) for host in hosts]
        late = [pool.submit(lab.mapping_survives, host, 4.1) for host in hosts]
        assert [each.result() for each in early] == [True, True]
        assert [each.result() for each in late] == [False, False]


def test_the_short_lifetime_is_the_one_that_the_translator_was_given(lab: Lab, attach: Attach) -> None:
    place = attach(Site(name="probed", kind=kinds.SHORT_LIFETIME))
    lab.measure_udp(place.hosts[0])
    entries = lab.network.run(place.router, ["conntrack", "-L", "-p", "udp"]).splitlines()
    lifetimes = [int(entry.split()[2]) for entry in entries]
    assert lifetimes
    assert max(lifetimes) <= 30  # the kernel has 120 for a mapping in use; the machine decides how old each is


@pytest.mark.parametrize("ms", [0, 25])
def test_a_line_delays_each_way_by_what_was_chosen(lab: Lab, attach: Attach, ms: int) -> None:
    place = attach(Site(name="probed", kind=kinds.PORT_RESTRICTED, delay=Delay(ms=ms)))
    found = lab.measure_udp(place.hosts[0])
    assert found
    assert 2 * ms <= min(found.rtt_ms) < 2 * ms + 4  # the others may have waited for the processor


def test_a_line_takes_jitter_and_loss_at_run_time(lab: Lab, attach: Attach) -> None:
    place = attach(Site(name="probed", kind=kinds.PORT_RESTRICTED, delay=Delay()))
    lab.network.shape(place, Delay(jitter_ms=30))
    found = lab.measure_udp(place.hosts[0])
    assert found
    assert max(found.rtt_ms) - min(found.rtt_ms) > 5
    lab.network.shape(place, Delay(loss=1))
    assert lab.measure_udp(place.hosts[0]) is None
    lab.network.shape(place, Delay())
    assert lab.measure_udp(place.hosts[0])
