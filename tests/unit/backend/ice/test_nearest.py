"""Which TURN host comes first, for whom."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ice.nearest import FEWEST, MOST_GATHERINGS, MOST_NETWORKS, Nearest, network_of

HOSTS = ["a.example", "b.example", "c.example"]


def nobody(_host: str) -> None:
    return None


def measure(nearest: Nearest, network: str, host: str, seconds: float, *, times: int = FEWEST) -> None:
    for number in range(times):
        gathering = f"{network}{host}{seconds}{number}"
        nearest.candidate("page", gathering, 100.0)
        nearest.relay("page", network, gathering, 100.0 + seconds, host)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("what", "what"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


def test_without_measures_the_order_is_kept() -> None:
    assert Nearest().order("net", HOSTS, nobody) == HOSTS


def test_the_lowest_of_a_few_measures_counts() -> None:
    nearest = Nearest()
    measure(nearest, "net", "a.example", 0.100)
    measure(nearest, "net", "b.example", 0.500)
    measure(nearest, "net", "b.example", 0.040, times=1)
    measure(nearest, "net", "c.example", 0.010, times=FEWEST - 1)  # too few
    assert nearest.order("net", HOSTS, nobody) == ["b.example", "a.example", "c.example"]
    assert nearest.order("elsewhere", HOSTS, nobody) == HOSTS


def test_nothing_changes_for_less_than_ten_milliseconds() -> None:
    nearest = Nearest()
    measure(nearest, "net", "a.example", 0.050)
    measure(nearest, "net", "b.example", 0.041)
    assert nearest.order("net", HOSTS[:2], nobody) == ["a.example", "b.example"]
    measure(nearest, "net", "b.example", 0.039, times=1)
    assert nearest.order("net", HOSTS[:2], nobody) == ["b.example", "a.example"]
    measure(nearest, "net", "a.example", 0.032, times=1)
    assert nearest.order("net", HOSTS[:2], nobody) == ["b.example", "a.example"]


def test_the_server_measures_for_those_who_have_not() -> None:
    nearest = Nearest()
    own = {"a.example": 0.080, "b.example": 0.010, "c.example": 0.030}
    assert nearest.order("net", HOSTS, own.get) == ["b.example", "c.example", "a.example"]
    measure(nearest, "net", "b.example", 0.300)
    assert nearest.order("net", HOSTS, own.get) == ["c.example", "a.example", "b.example"]


def test_a_host_that_is_gone_has_no_place() -> None:
    nearest = Nearest()
    for host, seconds in zip(HOSTS, (0.3, 0.2, 0.1), strict=True):
        measure(nearest, "net", host, seconds)
    assert nearest.order("net", HOSTS, nobody) == HOSTS[::-1]
    assert nearest.order("net", HOSTS[:2], nobody) == ["b.example", "a.example"]


def test_absurd_times_are_no_measures() -> None:
    nearest = Nearest()
    measure(nearest, "net", "b.example", -5.0)
    measure(nearest, "net", "c.example", 1e9)
    measure(nearest, "net", "a.example", 0.1)
    assert nearest.order("net", HOSTS, nobody) == HOSTS


@pytest.mark.parametrize("first", ["relay", "reflexive"])
def test_a_gathering_that_does_not_show_when_it_began_measures_nothing(first: str) -> None:
    nearest = Nearest()
    for number in map(str, range(FEWEST)):
        if first == "reflexive":  # the browser still makes a name for its host candidate (mDNS)
            nearest.candidate("page", number, None)
            nearest.candidate("page", number, 100.0)
        nearest.relay("page", "net", number, 100.0, "a.example")
        nearest.relay("page", "net", number, 100.2, "b.example")
    own = {"a.example": 0.1, "b.example": 0.3, "c.example": 0.05}
    assert nearest.order("net", HOSTS, own.get) == ["c.example", "a.example", "b.example"]


def test_the_browser_says_when_it_gathers_if_a_server_answers_before_a_host_candidate_has_its_name() -> None:
    nearest = Nearest()
    for number in map(str, range(FEWEST)):
        nearest.gathering("page", 100.0)
        nearest.candidate("page", number, None)  # reflexive, after 2 ms
        nearest.candidate("page", number, 100.005)
        nearest.relay("page", "net", number, 100.05, "b.example")
        nearest.relay("page", "net", number, 100.2, "a.example")
    own = {"a.example": 0.001, "b.example": 0.300, "c.example": 0.100}
    assert nearest.order("net", HOSTS, own.get) == ["b.example", "c.example", "a.example"]


def test_what_the_browser_said_counts_for_one_gathering() -> None:
    nearest = Nearest()
    nearest.gathering("page", 100.0)
    for number in range(FEWEST):  # it is told to gather anew before it has ended, and does not say so
        nearest.relay("page", "net", str(number), 100.1 + number, "a.example")
    assert nearest._networks["net"].measured("a.example") is None
    assert len(nearest._networks["net"].seconds["a.example"]) == 1


def test_what_is_remembered_is_bounded() -> None:
    nearest = Nearest()
    for number in range(MOST_NETWORKS + 10):
        measure(nearest, f"net{number}", "a.example", 0.1, times=1)
        nearest.gathering(f"page{number}", 100.0)
    assert len(nearest._networks) == MOST_NETWORKS
    assert len(nearest._begun) == len(nearest._announced) == MOST_GATHERINGS


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6))
def test_the_order_is_always_one_of_all_hosts(times: list[float | None]) -> None:
    hosts = [f"{number}.example" for number in range(len(times))]
    own = dict(zip(hosts, times, strict=True))
    order = Nearest().order("net", hosts, own.get)
    assert sorted(order) == sorted(hosts)
    measured = [seconds for host in order if (seconds := own[host]) is not None]
    if len(measured) == len(times):
        assert all(one <= other + 0.010 * len(times) for one, other in itertools.pairwise(measured))
