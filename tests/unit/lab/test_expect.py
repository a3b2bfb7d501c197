"""What two networks allow: the rules of hole punching, one by one, then all of them on all kinds."""

from __future__ import annotations

import itertools

import pytest

from tests.lab import kinds
from tests.lab.expect import Best, Leg, Path, Relation, best
from tests.lab.kinds import Filtering, Kind, Mapping, Nat

DIRECT = Best(path=Path.DIRECT)


def test_an_expectation_does_not_depend_on_who_is_left() -> None:
    for left, right, relation in itertools.product(kinds.ALL, kinds.ALL, Relation):
        one, other = best(left, right, relation), best(right, left, relation)
        assert (one.path, one.left, one.right, one.relays) == (other.path, other.right, other.left, other.relays)


def test_one_lan_needs_neither_translator_nor_firewall() -> None:
    for left, right in itertools.product(kinds.ALL, repeat=2):
        assert best(left, right, Relation.SAME_LAN) == Best(path=Path.HOST)


@pytest.mark.parametrize(
    "kind", [kinds.PUBLIC, kinds.FULL_CONE, kinds.RESTRICTED, kinds.PORT_RESTRICTED, kinds.CGN_CONE, kinds.HAIRPIN]
)
def test_endpoint_independent_mappings_on_both_ends_reach_each_other(kind: Kind) -> None:
    assert best(kind, kinds.PORT_RESTRICTED) == DIRECT


@pytest.mark.parametrize("symmetric", [kinds.SYMMETRIC, kinds.SYMMETRIC_PRESERVING, kinds.CGN_SYMMETRIC])
@pytest.mark.parametrize("open_to_ports", [kinds.PUBLIC, kinds.FULL_CONE, kinds.RESTRICTED])
def test_a_symmetric_nat_reaches_one_that_does_not_filter_by_port(symmetric: Kind, open_to_ports: Kind) -> None:
    assert best(symmetric, open_to_ports) == DIRECT


@pytest.mark.parametrize("symmetric", [kinds.SYMMETRIC, kinds.SYMMETRIC_PRESERVING, kinds.CGN_SYMMETRIC])
@pytest.mark.parametrize("by_port", [kinds.PORT_RESTRICTED, kinds.CGN_CONE, kinds.SYMMETRIC, kinds.DUAL_STACK])
def test_a_symmetric_nat_needs_one_relay_against_filtering_by_port(symmetric: Kind, by_port: Kind) -> None:
    expected = best(symmetric, by_port)
    assert expected.line() == "relay 1 udp|udp"
    assert expected.relays == 1


def test_a_mapping_that_is_open_to_everybody_can_be_reached_even_if_it_is_symmetric() -> None:
    # No kind of the lab: conntrack cannot make it. The rule is RFC 4787's all the same.
    class Open(Nat):
        def __post_init__(self) -> None:
            """Allow it here."""

    odd = Kind(name="odd", means="APDM/EIF", nat=Open(mapping=Mapping.APDM, filtering=Filtering.EIF))
    assert best(odd, kinds.SYMMETRIC) == DIRECT


@pytest.mark.parametrize(
    ("blocked", "leg"),
    [
        (kinds.UDP_BLOCKED, Leg.TCP),
        (kinds.TCP_443_ONLY, Leg.TCP),
        (kinds.TLS_443_ONLY, Leg.TLS),
        (kinds.HTTP_PROXY, Leg.TCP),
    ],
)
def test_who_has_no_udp_brings_a_relay(blocked: Kind, leg: Leg) -> None:
    assert best(blocked, kinds.PUBLIC) == Best(path=Path.RELAY, left=leg)
    assert best(blocked, kinds.SYMMETRIC) == Best(path=Path.RELAY, left=leg)
    both = best(blocked, kinds.TLS_443_ONLY)
    assert (both.left, both.right, both.relays) == (leg, Leg.TLS, 2)


def test_ipv6_is_direct_where_both_have_it() -> None:
    for left, right in itertools.product((kinds.DUAL_STACK, kinds.V6_ONLY, kinds.NAT64), repeat=2):
        assert best(left, right) == DIRECT


@pytest.mark.parametrize("kind", [kinds.V6_ONLY, kinds.NAT64])
def test_ipv6_alone_meets_ipv4_at_its_own_relay(kind: Kind) -> None:
    assert best(kind, kinds.PUBLIC).line() == "relay 1 udp/-"
    assert best(kind, kinds.UDP_BLOCKED).line() == "relay 2 udp/tcp"


def test_behind_one_carrier_only_a_hairpin_is_direct() -> None:
    assert best(kinds.CGN_CONE, kinds.CGN_CONE, Relation.SAME_CARRIER) == DIRECT
    assert best(kinds.CGN_SYMMETRIC, kinds.CGN_SYMMETRIC, Relation.SAME_CARRIER).relays == 1


def test_the_same_addresses_on_both_lans_change_nothing() -> None:
    for left, right in itertools.product(kinds.ALL, repeat=2):
        assert best(left, right, Relation.SAME_ADDRESSES) == best(left, right)


def test_what_conntrack_cannot_do_is_no_kind() -> None:
    for nat in (
        {"mapping": Mapping.ADM, "filtering": Filtering.APDF},
        {"mapping": Mapping.APDM, "filtering": Filtering.EIF},
        {"mapping": Mapping.EIM, "filtering": Filtering.EIF, "preserves_ports": False},
    ):
        with pytest.raises(ValueError, match="conntrack"):
            Nat(**nat)
