"""Whether a relay is in use that may not be needed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pyapp.core.diagnostics.path_report import CandidateFacts, PathReport
from pyapp.core.path.reach import MOST_GENERATIONS, Reach
from pyapp.protocol.peer import Candidate

HOST = "candidate:1 1 udp 9 4a1b2c3d-0000-4000-8000-0123456789ab.local 9 typ host"
V4 = "candidate:2 1 udp 8 203.0.113.1 9 typ srflx raddr 0.0.0.0 rport 0"
V6 = "candidate:3 1 udp 7 2001:db8::1 9 typ srflx raddr :: rport 0"
PRIVATE = V4.replace("203.0.113.1", "10.0.0.1")
SYMMETRIC = [V4, V4.replace("203.0.113.1 9", "203.0.113.1 10")]
"""Of one socket, seen at two ports."""
RELAY = "candidate:4 1 udp 1 198.51.100.1 9 typ relay raddr 0.0.0.0 rport 0"
TCP = "candidate:5 1 tcp 1 203.0.113.1 9 typ host tcptype active"


def candidate(text: str, fragment: str) -> Candidate:
    return Candidate(text, "0", 0, fragment)


def report(*, local: str = "relay", over: str = "udp", fragment: str = "ours") -> PathReport:
    ours = CandidateFacts(
        type=local,
        protocol="udp",
        address="",
        port=0,
        relay_protocol=over if local == "relay" else "",
        url="",
        username_fragment=fragment,
    )
    theirs = CandidateFacts(
        type="srflx", protocol="udp", address="", port=0, relay_protocol="", url="", username_fragment="theirs"
    )
    return PathReport(pair="P", local=ours, remote=theirs)


def met(ours: Sequence[str], theirs: Sequence[str]) -> Reach:
    """Return it after both sides have told their candidates, in the generations `ours` and `theirs`."""
    reach = Reach()
    for text in ours:
        reach.told(candidate(text, "ours"))
    for text in theirs:
        reach.heard(candidate(text, "theirs"))
    return reach


def test_remembers_so_many_generations_whatever_the_other_side_says() -> None:
    reach = Reach()
    for number in range(10 * MOST_GENERATIONS):
        reach.heard(candidate(V4, f"f{number}"))
    lines = "".join(f"a=ice-ufrag:g{number}\r\n" for number in range(2000))
    reach.heard_in(f"v=0\r\n{lines}" + f"a={V6}\r\n" * 500)
    assert len(reach._theirs) == MOST_GENERATIONS
    assert all(reached == {("2001:db8::1", 9)} for reached in reach._theirs.values())
    for number in range(10 * MOST_GENERATIONS):
        reach.heard(candidate(V4.replace("203.0.113.1 9", f"203.0.113.1 {number + 1}"), "many"))
    assert len(reach._theirs["many"]) == MOST_GENERATIONS


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([HOST, RELAY], [HOST, V4], True),
        ([RELAY, TCP], [], True),
        ([HOST, V4], [HOST, V4], True),
        ([HOST, *SYMMETRIC], [HOST, V4], True),
        ([HOST, V4], [HOST, *SYMMETRIC], True),
        ([HOST, *SYMMETRIC], [HOST, *SYMMETRIC], False),
        ([HOST, V4], [HOST, V6], True),
        ([HOST, V4, V6], [HOST, V6], True),
        ([HOST, V4], [HOST, RELAY], False),
        ([HOST, V4], [], False),
    ],
)
def test_may_be_direct_unless_neither_can_be_reached_at_what_it_told(
    ours: list[str], theirs: list[str], *, expected: bool
) -> None:
    reach = met(ours, theirs)
    assert reach.may_be_direct(report(), frozenset({"theirs"}), is_first=True) is expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"), [([V4], SYMMETRIC, False), (SYMMETRIC, [V4], False), ([V4], [V4], True)]
)
def test_beside_one_symmetric_network_is_worth_one_look_alone(
    ours: list[str], theirs: list[str], *, expected: bool
) -> None:
    """It was another restart half a second after each outage that led into a symmetric network."""
    reach = met(ours, theirs)
    assert reach.may_be_direct(report(), frozenset({"theirs"}), is_first=True)
    assert reach.may_be_direct(report(), frozenset({"theirs"}), is_first=False) is expected


def test_stays_symmetric_while_one_of_the_servers_that_show_it_is_dead() -> None:
    """A relay that died took its STUN server along, and a direct path was looked for again."""
    reach = Reach()
    for text in SYMMETRIC:
        reach.told(candidate(text, "older"))
    reach.told(candidate(V4, "ours"))
    reach.heard(candidate(V6, "theirs"))
    assert not reach.may_be_direct(report(), frozenset({"theirs"}), is_first=False)


def test_counts_what_is_in_a_description() -> None:
    reach = Reach()
    reach.told(candidate(V4, "ours"))
    reach.heard_in(f"v=0\r\na=ice-ufrag:theirs\r\na={V6}\r\na={RELAY}\r\n")
    assert reach.may_be_direct(report(), frozenset({"theirs"}), is_first=True)


def test_counts_nothing_of_an_older_generation() -> None:
    reach = Reach()
    reach.told(candidate(V4, "older"))
    reach.told(candidate(RELAY, "ours"))
    assert reach.may_be_direct(report(), frozenset(), is_first=True)


@pytest.mark.parametrize(
    "path", [report(over="tls"), report(over="tcp"), report(local="srflx"), report(fragment="unknown")]
)
def test_is_not_so_of_a_path_that_has_its_reason(path: PathReport) -> None:
    reach = Reach()
    reach.told(candidate(RELAY, "ours"))
    assert not reach.may_be_direct(path, frozenset(), is_first=True)


def test_may_be_direct_again_if_it_was_in_this_generation() -> None:
    reach = met([*SYMMETRIC, RELAY], [*SYMMETRIC, RELAY])
    theirs = frozenset({"theirs"})
    assert not reach.may_be_direct(report(), theirs, is_first=True)
    assert not reach.may_be_direct(report(local="srflx"), theirs, is_first=True)
    assert reach.may_be_direct(report(), theirs, is_first=True)
    assert not reach.may_be_direct(report(fragment="newer"), theirs, is_first=True)


def test_is_no_direct_path_while_the_remote_candidate_may_be_a_relays_that_is_still_on_its_way() -> None:
    reach = met([*SYMMETRIC, RELAY], [*SYMMETRIC, RELAY])
    unknown = report(local="srflx")
    unknown = replace(unknown, remote=replace(unknown.remote, type="prflx"))
    assert not reach.may_be_direct(unknown, frozenset({"theirs"}), is_first=True)
    assert not reach.may_be_direct(report(), frozenset({"theirs"}), is_first=True)


@pytest.mark.parametrize(
    ("ours", "theirs", "share"),
    [
        ([HOST], [HOST], None),
        ([HOST, V4], [HOST], False),
        ([V4], [V4], True),
        ([PRIVATE], [PRIVATE], True),  # behind one NAT of a larger network
        ([PRIVATE], [PRIVATE.replace("10.0.0.1", "10.0.0.2")], None),
        ([V6], [V6.replace("::1", "::2")], True),  # two machines of one network
        ([V6], [V6.replace("::1", ":0:1::1")], False),
    ],
)
def test_both_share_a_public_address(ours: list[str], theirs: list[str], share: bool | None) -> None:
    assert met(ours, theirs).share_address is share
