"""What candidates of the other side are worth to our browser: each ICE generation a band of its own."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.core.negotiation.precedence import HIGHEST, LOW, MOST_REMEMBERED, RANKS, Precedence
from pyapp.protocol.ice import parse_candidate

LOWEST_LOCAL_RELAY = 8191
"""Chromium's relay over TLS at the last server: type preference 0, local preference 31, component 1."""

PEER_REFLEXIVE = 110 << 24

RESTARTS = 119
"""So many generations after the first one stay below every candidate of ours."""


def priority(type_preference: int, local_preference: int) -> int:
    """Return that of component 1 (RFC 8445, section 5.1.2.1)."""
    return (type_preference << 24) + (local_preference << 8) + 255


CHROMIUM = st.builds(
    priority,
    # Relays over TLS, TCP and UDP, host over TCP, server-reflexive, host; prflx is nothing that is signaled.
    st.sampled_from([0, 1, 2, 90, 100, 126]),
    # The network in the high byte, or nothing for the default route; the address family, and what a server adds.
    st.builds(lambda network, rest: network << 8 | rest, st.sampled_from([0, 1, 10, 255]), st.integers(30, 120)),
)
FIREFOX = st.builds(
    priority,
    # Relays over TCP and UDP, server-reflexive over TCP and UDP, host over TCP and UDP.
    st.sampled_from([0, 5, 99, 100, 125, 126]),
    # The interface, and the STUN server or the TCP direction.
    st.builds(lambda interface, rest: interface << 8 | rest, st.integers(1, 255), st.integers(0, 255)),
)
ANY = st.integers(0, HIGHEST)


def candidate(worth: int) -> str:
    return f"candidate:1 1 udp {worth} 192.0.2.7 9 typ host generation 0 ufrag u network-id 1"


def handed(precedence: Precedence, worth: int) -> int:
    return parse_candidate(precedence.handed(candidate(worth))).priority


def after(restarts: int, *, selected: int = 0, below_peer_reflexive: bool = False) -> Precedence:
    """Return that of the generation after so many restarts; `selected` is known before the last one."""
    result = Precedence()
    for number in range(restarts):
        result.selected = selected if number == restarts - 1 else 0
        result.begin(below_peer_reflexive=below_peer_reflexive)
    return result


class TestWithinAGeneration:
    @pytest.mark.parametrize("maker", [CHROMIUM, FIREFOX], ids=["Chromium", "Firefox"])
    def test_the_order_is_the_other_sides(self, maker: st.SearchStrategy[int]) -> None:
        @given(st.lists(maker, min_size=2), st.integers(0, 2 * RESTARTS))
        def check(priorities: list[int], restarts: int) -> None:
            precedence = after(restarts)
            worth = [handed(precedence, each) for each in sorted(priorities)]
            assert worth == sorted(worth)

        check()

    @pytest.mark.parametrize(
        "kinds",
        [[0, 1, 2, 90, 100, 110, 126], [0, 5, 100, 110, 126]],
        ids=["Chromium", "Firefox"],
    )
    @given(st.data())
    def test_every_kind_is_worth_more_than_the_one_below(self, kinds: list[int], data: st.DataObject) -> None:
        local = st.integers(0, 65535)
        worth = [handed(Precedence(), priority(kind, data.draw(local))) for kind in kinds]
        assert worth == sorted(set(worth))

    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_the_first_servers_in_the_list_have_the_better_relays(self, kind: int) -> None:
        worth = [handed(Precedence(), priority(kind, 30 + 2 * behind)) for behind in range(7)]
        assert worth == sorted(set(worth))

    @given(st.lists(ANY, min_size=1))
    def test_what_was_handed_over_once_stays(self, priorities: list[int]) -> None:
        precedence = after(3)
        first = [handed(precedence, each) for each in priorities]
        assert [handed(precedence, each) for each in priorities] == first


class TestASymmetricNetwork:
    """It has a port for each destination, and nobody answers at those that the STUN servers saw."""

    BASE = "raddr 0.0.0.0 rport 0 generation 0 ufrag u network-id 1"
    RELAY = f"candidate:3 1 udp {priority(2, 30)} 198.51.100.1 9 typ relay raddr 203.0.113.1 rport 7"
    V6 = f"candidate:4 1 udp {priority(100, 30)} 2001:db8::1 9 typ srflx raddr :: rport 0"

    def reflexive(self, port: int, base: str = BASE) -> str:
        return f"candidate:2 1 udp {priority(100, 30)} 203.0.113.1 {port} typ srflx {base}"

    def worth(self, precedence: Precedence, *texts: str) -> list[int]:
        return [parse_candidate(precedence.handed(text)).priority for text in texts]

    def test_has_its_relays_checked_before_its_reflexive_addresses_of_one_socket(self) -> None:
        *reflexive, relay = self.worth(Precedence(), self.reflexive(7), self.reflexive(8), self.RELAY)
        assert relay > max(reflexive)

    def test_has_one_port_of_each_socket_that_is_worth_a_check(self) -> None:
        precedence = Precedence()
        assert not precedence.is_pointless(self.reflexive(7))
        precedence.handed(self.reflexive(7))
        assert not precedence.is_pointless(self.reflexive(7))
        assert precedence.is_pointless(self.reflexive(8))
        assert not any(map(precedence.is_pointless, (self.RELAY, self.V6, "")))
        precedence.begin(below_peer_reflexive=False)
        assert not precedence.is_pointless(self.reflexive(8))

    def test_is_known_in_a_description_too(self) -> None:
        described = Precedence().handed(f"a={self.RELAY}\r\na={self.reflexive(7)}\r\na={self.reflexive(8)}\r\n")
        relay, *reflexive = (parse_candidate(line[2:]).priority for line in described.split("\r\n")[:-1])
        assert relay > max(reflexive)

    @pytest.mark.parametrize(
        "base", [BASE.replace("network-id 1", "network-id 2"), BASE.replace("0.0.0.0 rport 0", "10.0.0.2 rport 9")]
    )
    def test_is_no_network_with_two_interfaces(self, base: str) -> None:
        *reflexive, relay = self.worth(Precedence(), self.reflexive(7), self.reflexive(8, base), self.RELAY)
        assert relay < min(reflexive)

    def test_may_be_reached_by_ipv6(self) -> None:
        *_, relay, direct = self.worth(Precedence(), self.reflexive(7), self.reflexive(8), self.RELAY, self.V6)
        assert direct > relay
        (host,) = self.worth(Precedence(), candidate(priority(126, 30)))
        assert host > direct

    def test_is_remembered_in_the_next_generation_which_may_show_one_port_of_it(self) -> None:
        precedence = Precedence()
        self.worth(precedence, self.reflexive(7), self.reflexive(8))
        precedence.begin(below_peer_reflexive=False)
        reflexive, relay = self.worth(precedence, self.reflexive(7), self.RELAY)
        assert relay > reflexive

    @pytest.mark.parametrize(("generations", "address"), [(1, "203.0.113.2"), (2, "203.0.113.1")])
    def test_is_not_remembered_at_another_address_or_for_longer(self, generations: int, address: str) -> None:
        precedence = Precedence()
        self.worth(precedence, self.reflexive(7), self.reflexive(8))
        for _ in range(generations):
            precedence.begin(below_peer_reflexive=False)
        reflexive, relay = self.worth(precedence, self.reflexive(7).replace("203.0.113.1", address), self.RELAY)
        assert relay < reflexive

    def test_is_remembered_by_so_many_sockets(self) -> None:
        precedence = Precedence()
        for number in range(1000):
            precedence.handed(self.reflexive(7, f"raddr 10.0.0.1 rport {number}"))
        assert len(precedence._ports) == MOST_REMEMBERED


class TestTheNextGeneration:
    @given(ANY, ANY, st.integers(0, 2 * RESTARTS))
    def test_is_worth_more_whatever_is_in_it(self, before: int, following: int, restarts: int) -> None:
        precedence = after(restarts)
        worth = handed(precedence, before)
        precedence.begin(below_peer_reflexive=False)
        assert handed(precedence, following) > worth

    @given(ANY, ANY, st.integers(0, RESTARTS - 1))
    def test_is_worth_more_also_below_peer_reflexive_ones(self, before: int, following: int, restarts: int) -> None:
        precedence = after(restarts, below_peer_reflexive=True)
        worth = handed(precedence, before)
        precedence.begin(below_peer_reflexive=True)
        assert handed(precedence, following) > worth

    @given(ANY, st.integers(1, 2 * RESTARTS), st.integers(0, HIGHEST - RANKS - 1))
    def test_is_worth_more_than_what_is_selected(self, worth: int, restarts: int, selected: int) -> None:
        assert handed(after(restarts, selected=selected), worth) > selected

    def test_is_worth_more_than_all_before_after_a_pair_that_the_browser_found_itself(self) -> None:
        precedence = after(2, selected=PEER_REFLEXIVE + 65_535)
        for _ in range(3):
            least, most = handed(precedence, 0), handed(precedence, HIGHEST)
            precedence.begin(below_peer_reflexive=False)
            assert handed(precedence, 0) > most >= least > PEER_REFLEXIVE

    @given(ANY, st.integers(1, 3 * RESTARTS), st.integers(0, HIGHEST))
    def test_is_never_worth_more_than_a_peer_reflexive_one_when_told(
        self, worth: int, restarts: int, selected: int
    ) -> None:
        precedence = after(restarts, selected=selected, below_peer_reflexive=True)
        assert handed(precedence, worth) < LOW < PEER_REFLEXIVE
        precedence.begin(below_peer_reflexive=True)
        assert handed(precedence, worth) < LOW


class TestTheBands:
    @pytest.mark.parametrize("below_peer_reflexive", [False, True])
    def test_of_the_first_hundred_and_twenty_generations_are_below_every_candidate_of_ours(
        self, *, below_peer_reflexive: bool
    ) -> None:
        precedence = Precedence()
        for _ in range(RESTARTS):
            assert handed(precedence, HIGHEST) < LOWEST_LOCAL_RELAY
            precedence.begin(below_peer_reflexive=below_peer_reflexive)
        assert handed(precedence, HIGHEST) < LOWEST_LOCAL_RELAY

    @given(
        st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans()), max_size=20),
        st.one_of(ANY, st.integers(0, 9_999_999_999)),
    )
    def test_are_of_priorities_that_a_candidate_may_have(self, story: list[tuple[int, bool]], worth: int) -> None:
        precedence = Precedence()
        for selected, below_peer_reflexive in story:
            precedence.selected = selected
            precedence.begin(below_peer_reflexive=below_peer_reflexive)
            assert 1 <= handed(precedence, worth) <= HIGHEST

    def test_do_not_overlap(self) -> None:
        precedence = Precedence()
        bands = []
        for _ in range(2 * RESTARTS):
            bands.append((handed(precedence, 0), handed(precedence, HIGHEST)))
            precedence.begin(below_peer_reflexive=False)
        assert all(one[0] <= one[1] < two[0] for one, two in itertools.pairwise(bands))


class TestTheText:
    HOST, RELAY = candidate(2_122_252_543), "candidate:2 1 tcp 8191 192.0.2.8 9 typ relay raddr 0.0.0.0 rport 0"
    WORDS = "candidate:1 1 udp {} 192.0.2.7 9 typ host generation 0 ufrag u network-id 1"

    def test_of_a_candidate_keeps_everything_else(self) -> None:
        assert Precedence().handed(self.HOST) == self.WORDS.format(handed(Precedence(), 2_122_252_543))

    def test_of_a_description_keeps_everything_but_the_priorities_of_its_candidates(self) -> None:
        other = (
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\na=ice-ufrag:u\r\na=remark candidate:1 1 udp 5 192.0.2.9 9 typ host\r\n"
        )
        end = "a=end-of-candidates\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        precedence = after(2)
        described = f"{other}a={self.HOST}\r\na={self.RELAY}\r\n{end}a={self.HOST}\r\n"
        host, relay = precedence.handed(self.HOST), precedence.handed(self.RELAY)
        assert precedence.handed(described) == f"{other}a={host}\r\na={relay}\r\n{end}a={host}\r\n"
        assert self.HOST not in precedence.handed(described)

    @pytest.mark.parametrize("text", ["", "candidate:1 1 udp", "v=0\r\n", "candidate:1 1 udp x 192.0.2.7 9 typ host"])
    def test_without_a_priority_stays(self, text: str) -> None:
        assert after(5).handed(text) == text


def test_the_network_cost_is_that_of_the_last_candidate() -> None:
    precedence = Precedence()
    precedence.handed("candidate:1 1 udp 2113937151 192.0.2.1 9 typ host ufrag r1 network-cost 999")
    assert precedence.network_cost == 999
    precedence.handed("candidate:1 1 udp 2113937151 192.0.2.1 9 typ host ufrag r1")
    assert precedence.network_cost == 999
