"""The account of a session, on small ones; test_recorded.py has those that were played in the lab."""

from typing import Any

import pytest

from backend.journal.account import Account, account
from backend.journal.reading import Participant, Recorded

A, B = "a" * 32, "b" * 32

Entry = tuple[float, str, str, dict[str, Any]]


def of(*told: Entry) -> Account:
    entries = [
        {
            "time": at,
            "participant": who,
            "number": 0 if event.startswith("server-") else number,
            "at": at * 1000,
            "event": event,
            "data": data,
        }
        for number, (at, who, event, data) in enumerate(told, start=1)
    ]
    people = [Participant(who, {A: "Ada", B: ""}[who], 0.0) for who in dict.fromkeys(who for _, who, _, _ in told)]
    return account(Recorded(id=1, name="demo", began=0.0, heard=99.0, left_out=0, participants=people, entries=entries))


def texts(found: Account) -> dict[str, str]:
    return {one.rule: one.text for one in found.sentences}


def connected(who: str, at: float, **data: Any) -> list[Entry]:
    return [
        (at, who, "session", {"session": "demo", "policy": "all"}),
        (at + 0.1, who, "signaling", {"alone": who == A}),
        (at + 0.6, who, "pair", {"path": "direct", "pair": "CP1", "ufrag": "u"} | data),
    ]


RELAYED = {
    "path": "relay",
    "local_type": "relay",
    "relay_protocol": "tls",
    "server": "turn:turn-eu.example.org:443?transport=tcp",
}


def test_why_it_went_over_a_relay() -> None:
    blocked = of(
        (0.0, A, "candidate-local", {"type": "host"}), *connected(A, 0.0, **RELAYED), *connected(B, 5.0, path="relay")
    )
    assert texts(blocked)["connected-relay"] == (
        "Connected after 0.6 s through turn-eu.example.org over TLS, because the network of Ada blocks UDP."
    )
    reached = of((0.0, A, "candidate-local", {"type": "srflx"}), *connected(A, 5.0, **RELAYED), *connected(B, 5.0))
    assert "because" not in texts(reached)["connected-direct"]
    only = of(*connected(B, 5.0, **RELAYED), (5.0, B, "session", {"session": "demo", "policy": "relay"}))
    assert only.outcome == "connected"


@pytest.mark.parametrize(
    ("ours", "theirs", "rule"),
    [
        ("203.0.113.0", "203.0.113.0", "connected-lan"),
        ("203.0.113.0", "198.51.100.0", "connected-direct"),
        ("127.0.0.1", "192.168.1.0", "connected-lan"),  # the server is on their network
        ("fd00:1::", "fd00:2::", "connected-lan"),
        ("192.168.1.0", "203.0.113.0", "connected-direct"),
        ("", "", "connected-direct"),
    ],
)
def test_both_were_on_one_network(ours: str, theirs: str, rule: str) -> None:
    joined: list[Entry] = [(0.0, A, "server-joined", {"address": ours}), (1.0, B, "server-joined", {"address": theirs})]
    host = {"local_type": "host"}
    assert rule in texts(of(*joined, *connected(A, 0.0, **host), *connected(B, 1.0, **host)))


def test_only_relays_were_allowed() -> None:
    told = [*connected(A, 0.0, **RELAYED), *connected(B, 5.0, **RELAYED)]
    told[3] = (5.0, B, "session", {"session": "demo", "policy": "relay"})
    assert texts(of(*told))["connected-relay"].endswith("because only relays were allowed.")


def test_an_outage_that_did_not_end() -> None:
    found = of(*connected(A, 0.0), *connected(B, 1.0), (9.0, A, "suspect", {"evidence": "silence", "silence_ms": 400}))
    assert texts(found)["outage-open"] == "Ada heard nothing any more; it did not come back."
    assert found.outages[0].began == pytest.approx(8.6)
    assert found.outcome == "interrupted"


def test_that_somebody_left_is_no_outage() -> None:
    closed: list[Entry] = [(9.0, A, "suspect", {"evidence": "channel-closed"}), (9.2, B, "server-left", {})]
    found = of(*connected(A, 0.0), *connected(B, 1.0), *closed)
    assert not found.outages
    assert found.outcome == "connected"


def test_who_does_not_wait_for_the_end_of_an_outage() -> None:
    silent: Entry = (9.0, A, "suspect", {"evidence": "silence"})
    for left, outcome in ((12.0, "connected"), (20.0, "interrupted")):
        found = of(*connected(A, 0.0), *connected(B, 1.0), silent, (left, B, "server-left", {}))
        assert texts(found)["outage-left"] == "Ada heard nothing any more; Guest 2 left before it was back."
        assert found.outcome == outcome


@pytest.mark.parametrize("event", ["server-left", "server-lost", "server-joined"])
def test_what_the_server_saw_a_page_does_not_tell(event: str) -> None:
    entries = [
        {"time": 9.0, "participant": A, "number": 50, "at": 9000.0, "event": event, "data": {"address": "192.0.2.1"}}
    ]
    people = [Participant(who, "", 0.0) for who in (A, B)]
    told = Recorded(id=1, name="demo", began=0.0, heard=99.0, left_out=0, participants=people, entries=entries)
    assert [one.rule for one in account(told).sentences] == ["not-connected"]


def test_a_network_that_changed_explains_a_silence_that_was_noticed_before() -> None:
    found = of(
        *connected(A, 0.0),
        *connected(B, 1.0),
        (9.0, B, "suspect", {"evidence": "silence"}),
        (9.1, A, "network", {"certain": False}),
        (9.2, A, "network", {"certain": True}),
        (9.9, B, "recovered", {"seconds": 0.9}),
    )
    assert texts(found)["outage"] == "The network of Ada changed; everything was back after 0.9 s."


@pytest.mark.parametrize(
    ("at", "cause"), [(8.0, "The network of Ada changed"), (5.0, "Guest 2 heard nothing any more")]
)
def test_a_network_that_changed_explains_the_silence_after_it(at: float, cause: str) -> None:
    found = of(
        *connected(A, 0.0),
        *connected(B, 1.0),
        (at, A, "network", {"certain": True}),
        (9.0, B, "suspect", {"evidence": "silence"}),
        (9.9, B, "recovered", {"seconds": 0.9}),
    )
    assert texts(found)["outage"].startswith(f"{cause};")


def test_a_path_that_was_there_for_a_moment_is_not_told() -> None:
    moment: list[Entry] = [(9.0, A, "pair", RELAYED), (10.0, A, "pair", {"path": "direct"})]
    rules = [one.rule for one in of(*connected(A, 0.0), *connected(B, 1.0), *moment).sentences]
    assert rules == ["connected-direct"]


def test_another_relay_for_a_moment_on_the_way_to_a_direct_path_is_not_told() -> None:
    other = RELAYED | {"server": "turn:turn-us.example.org:3478?transport=udp", "relay_protocol": "udp"}
    direct = {"path": "direct"}
    found = of(
        *connected(A, 0.0, **RELAYED),
        *connected(B, 1.0, **RELAYED),
        (9.0, A, "pair", direct),
        (9.2, B, "pair", other),
        (9.4, B, "pair", direct),
    )
    assert [one.rule for one in found.sentences] == ["connected-relay", "became-direct"]


def test_the_other_sides_relay_is_known_by_its_port() -> None:
    """A TURN server relays from one address, however it is reached."""
    relay = {"type": "relay", "address": "198.51.100.10", "ufrag": "u"}
    over_tls = {"port": 5001, "server": "turns:turn-eu.example.org:443?transport=tcp"}
    over_udp = {"port": 5002, "server": "turn:turn-eu.example.org:3478?transport=udp"}
    theirs = {"path": "relay", "local_type": "prflx", "remote_type": "relay", "remote_address": "198.51.100.10"}
    found = of(
        (0.1, A, "candidate-local", relay | over_tls),
        (0.1, A, "candidate-local", relay | over_udp),
        *connected(A, 0.0, **RELAYED, local_address="198.51.100.10", local_port=5001),
        *connected(B, 0.3, **theirs, remote_port=5002),  # before A says that it has changed, too
        (1.4, A, "pair", RELAYED | {"relay_protocol": "udp", "local_address": "198.51.100.10", "local_port": 5002}),
    )
    assert "through turn-eu.example.org over UDP" in found.sentences[0].text
    assert [one.rule for one in found.sentences] == ["connected-relay", "other-relay"]
    assert "over UDP" in found.sentences[-1].text


def test_how_they_connected_comes_first_though_one_page_is_told_of_it_late() -> None:
    found = of(
        *connected(A, 0.0, **RELAYED),
        (0.7, A, "pair", {"path": "direct"}),
        *connected(B, 0.2, **RELAYED),
        (0.9, B, "pair", {"path": "direct"}),
    )
    assert [(one.rule, one.at) for one in found.sentences] == [("connected-relay", 0.8), ("became-direct", 0.8)]


def test_two_outages_of_one_kind_are_told_both() -> None:
    silent, well = {"evidence": "silence"}, {"seconds": 0.5}
    found = of(
        *connected(A, 0.0),
        *connected(B, 1.0),
        (9.0, A, "suspect", silent),
        (9.5, A, "recovered", well),
        (12.0, A, "suspect", silent),
        (12.5, A, "recovered", well),
    )
    assert [one.at for one in found.sentences if one.rule == "outage"] == [one.began for one in found.outages]


def test_a_path_that_is_taken_in_an_outage_is_not_that_of_one_a_moment_before() -> None:
    found = of(
        *connected(A, 0.0, **RELAYED),
        *connected(B, 1.0, **RELAYED),
        (9.0, A, "suspect", {"evidence": "silence"}),
        (9.5, A, "recovered", {"seconds": 0.5}),
        (12.0, A, "suspect", {"evidence": "network-changed"}),
        (13.0, A, "pair", {"path": "direct"}),
        (13.7, A, "recovered", {"seconds": 1.7}),
    )
    assert [one.text for one in found.sentences if one.rule == "outage"] == [
        "Ada heard nothing any more; everything was back after 0.5 s.",
        "The network of Ada changed; everything was back after 1.7 s, directly.",
    ]


def test_who_saw_why_says_it() -> None:
    found = of(
        *connected(A, 0.0),
        *connected(B, 1.0),
        (9.0, A, "suspect", {"evidence": "silence"}),
        (9.1, B, "suspect", {"evidence": "network-changed"}),
        (9.6, A, "recovered", {"seconds": 0.5}),
        (9.7, B, "recovered", {"seconds": 0.6}),
        (30.0, A, "suspect", {"evidence": "not-heard"}),
        (30.4, A, "recovered", {"seconds": 0.4}),
    )
    assert [one.text for one in found.sentences if one.rule == "outage"] == [
        "The network of Guest 2 changed; everything was back after 0.6 s.",
        "Ada was not heard any more; everything was back after 0.4 s.",
    ]


@pytest.mark.parametrize(
    ("entry", "rule", "text"),
    [
        ((9.0, A, "slept", {"seconds": 61.5}), "slept", "Ada: the machine slept for 62 s."),
        (
            (9.0, A, "failed", {"code": "no-path"}),
            "failed",
            "Ada: the session could not go on, because no path was found",
        ),
        (
            (9.0, A, "failed", {"code": "invitation-revoked"}),
            "failed",
            "Ada: the session could not go on, because the server said",
        ),
        ((9.0, A, "relay-well", {"host": "turn1"}), "relay-back", "The relay turn1 answers again."),
        ((9.0, A, "standby-used", {"host": "turn2"}), "standby", "Messages went over the second path, through turn2."),
        ((9.0, A, "pair", RELAYED), "became-relay", "The path went through turn-eu.example.org over TLS from then on."),
        ((9.0, A, "server-lost", {}), "server-lost", "Ada lost the server."),
    ],
)
def test_each_sentence_has_its_rule(entry: Entry, rule: str, text: str) -> None:
    assert texts(of(*connected(A, 0.0), *connected(B, 1.0), entry))[rule].startswith(text)


@pytest.mark.parametrize(("back", "told"), [(9.4, []), (12.0, ["Ada lost the server.", "Ada had the server again."])])
def test_a_socket_that_follows_another_is_no_loss_of_the_server(back: float, told: list[str]) -> None:
    """As of a page in doubt, whose new socket joins while the old one is dropped."""
    joined = [(0.0, A, "server-joined", dict[str, Any]()), (back, A, "server-joined", dict[str, Any]())]
    found = of(joined[0], *connected(A, 0.0), *connected(B, 1.0), (9.0, A, "server-lost", {}), joined[1])
    assert [one.text for one in found.sentences if one.rule in ("server-lost", "server-back")] == told


def test_without_a_connection_there_is_no_best_path() -> None:
    found = of((0.0, A, "session", {"session": "demo", "policy": "all"}), (0.1, A, "signaling", {"alone": True}))
    assert (found.connect_seconds, found.best_seconds) == (None, None)


def test_nobody_else_came() -> None:
    found = of((0.0, A, "server-joined", {}), (0.0, A, "session", {"session": "demo"}))
    assert texts(found)["not-connected"] == "Nobody else came."
    assert found.outcome == "alone"
    assert of().outcome == "alone", "nothing was told at all"


def test_what_a_hostile_page_tells_is_no_error() -> None:
    nonsense: dict[str, Any] = dict.fromkeys(
        ("path", "server", "pair", "seconds", "silence_ms", "pair_sent", "url", "evidence", "code", "policy"), True
    )
    events = ("session", "signaling", "pair", "sample", "suspect", "recovered", "failed", "slept", "candidate-error")
    of(*((1.0, A, event, nonsense) for event in events), *((1.0, A, event, {}) for event in events))
