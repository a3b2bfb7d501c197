"""What pages tell becomes figures, once, and whatever they tell no label is theirs to choose."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.metrics.gauges import Gauges, Now
from backend.metrics.meters import EVIDENCE, Meters
from pyapp.core.path.outcomes import Evidence
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

HOSTS = {"t.example"}
URL = "turn:t.example:3478?transport=udp"


def meters() -> Meters:
    return Meters(lambda: HOSTS)


def told(known: Meters, *events: tuple[float, str, dict[str, Scalar]], page: str = "page", first: int = 1) -> None:
    entries = [JournalEntry(first + place, at * 1000, event, data) for place, (at, event, data) in enumerate(events)]
    known.heard(page, entries)


def value(known: Meters, name: str, **labels: str) -> float:
    return known.registry.get_sample_value(f"ice_console_{name}", labels) or 0.0


def pair(path: str, sent: int = 0, received: int = 0, **more: Scalar) -> dict[str, Scalar]:
    local = "relay" if path == "relay" else "host"
    data: dict[str, Scalar] = {
        "path": path,
        "local_type": local,
        "pair_sent": sent,
        "pair_received": received,
        "server": URL,
    }
    return data | more


CONNECT: tuple[float, str, dict[str, Scalar]] = (10.0, "session", {"session": "one", "policy": "all"})


def test_the_time_to_connect_is_that_of_who_found_somebody() -> None:
    known = meters()
    first: dict[str, Scalar] = {"alone": True}
    second: dict[str, Scalar] = {"alone": False}
    told(known, CONNECT, (10.1, "signaling", first), (99.0, "pair", pair("relay")), page="first")
    told(
        known,
        CONNECT,
        (10.1, "signaling", second),
        (10.4, "pair", pair("relay", relay_protocol="udp")),
        (11.9, "pair", pair("direct")),
        (20.0, "pair", pair("direct")),
        page="second",
    )
    assert value(known, "connect_seconds_count", path="relay") == 1
    assert value(known, "connect_seconds_sum", path="relay") == pytest.approx(0.4)
    assert value(known, "connect_seconds_count", path="direct") == 0
    assert value(known, "direct_path_seconds_count") == 1
    assert value(known, "direct_path_seconds_sum") == pytest.approx(1.9)
    assert value(known, "paths_total", path="direct", relay_protocol="") == 2
    assert value(known, "paths_total", path="relay", relay_protocol="udp") == 1


def test_the_time_to_the_best_path() -> None:
    known = meters()
    joined: dict[str, Scalar] = {"alone": False}
    relays = [(10.4, "pair", pair("relay", relay_protocol="tls")), (11.0, "pair", pair("relay", relay_protocol="udp"))]
    begun = [CONNECT, (10.1, "signaling", joined), *relays]
    told(known, *begun, (12.0, "pair", pair("direct")), (13.0, "pair", pair("relay")), page="direct")
    assert value(known, "best_path_seconds_sum", path="direct") == pytest.approx(2.0)
    told(known, *begun, (39.9, "sample", pair("relay")), page="relayed")
    assert value(known, "best_path_seconds_count", path="relay") == 0
    told(known, (40.1, "sample", pair("relay")), (50.0, "pair", pair("direct")), page="relayed", first=6)
    assert value(known, "best_path_seconds_sum", path="relay") == pytest.approx(1.0)
    told(known, *begun, (12.0, "suspect", {"evidence": "silence"}), (13.0, "pair", pair("direct")), page="disturbed")
    assert value(known, "best_path_seconds_count", path="relay") == 2
    told(known, *begun, (20.0, "session", {"session": "two", "policy": "all"}), page="again")
    assert value(known, "best_path_seconds_count", path="relay") == 3
    told(known, *begun, (20.0, "session", {}), page="hung up")
    assert value(known, "best_path_seconds_count", path="relay") == 4
    assert value(known, "best_path_seconds_count", path="direct") == 1


def test_restarts_by_what_they_are_due_to() -> None:
    known = meters()
    reasons: list[Scalar] = ["person", "attempt 1", "made up", 7]
    told(known, (1.0, "suspect", {"evidence": "no-echo"}), *((2.0, "restart", {"reason": one}) for one in reasons))
    told(known, (3.0, "restart", {"refused": True}), (3.0, "restart", {"reason": "attempt 1"}), page="another")
    assert [value(known, "restarts_total", reason=one) for one in ("person", "no-echo", "other")] == [1, 1, 3]


def test_every_evidence_of_a_page_is_known() -> None:
    assert set(EVIDENCE) == set(get_args(Evidence))


def test_outages_doubts_and_attempts() -> None:
    known = meters()
    told(
        known,
        (1.0, "suspect", {"evidence": "silence"}),
        (1.0, "suspect", {"evidence": "made-up"}),
        (1.1, "attempt", {"rung": "restart", "number": 1}),
        (1.5, "recovered", {"seconds": 0.4}),
        (1.6, "recovered", {"seconds": "much"}),
        (1.7, "recovered", {"seconds": -1}),
        (2.0, "failed", {}),
        (2.0, "candidate-error", {"url": URL, "code": 401}),
        (2.0, "candidate-error", {"url": "turn:elsewhere.example", "code": 12345}),
        (2.0, "candidate-error", {"url": None, "code": True}),
    )
    assert value(known, "suspicions_total", evidence="silence") == 1
    assert value(known, "suspicions_total", evidence="other") == 1
    assert value(known, "recovery_attempts_total", rung="restart") == 1
    assert value(known, "outage_seconds_count") == 1
    assert value(known, "outage_seconds_sum") == pytest.approx(0.4)
    assert value(known, "failures_total") == 1
    assert value(known, "ice_errors_total", host="t.example", code="401") == 1
    assert value(known, "ice_errors_total", host="other", code="other") == 2


def test_relay_bytes_are_counted_once_for_each_pair() -> None:
    known = meters()

    def relayed(sent: int, received: int, name: str = "P1") -> dict[str, Scalar]:
        return pair("relay", sent, received, relay_protocol="tls", pair=name, ufrag="u")

    told(known, (1.0, "pair", relayed(100, 50)), (2.0, "sample", relayed(300, 100)), (3.0, "sample", relayed(300, 100)))
    assert value(known, "relay_bytes_total", host="t.example", protocol="tls") == 400
    told(known, (4.0, "pair", relayed(10, 10, "P2")), (5.0, "pair", relayed(310, 110)), first=4)
    assert value(known, "relay_bytes_total", host="t.example", protocol="tls") == 440
    told(known, (6.0, "sample", pair("direct", 5000, 5000)), first=6)
    told(known, (7.0, "sample", relayed(-5, 0)), (8.0, "sample", relayed(2**50, 0)), first=7)
    assert value(known, "relay_bytes_total", host="t.example", protocol="tls") == 440


def test_what_an_earlier_run_of_the_server_has_counted_is_not_counted_again() -> None:
    known = meters()
    data = pair("relay", 5_000_000, 0, relay_protocol="udp", pair="P1", ufrag="u")
    told(known, (1.0, "sample", data), (2.0, "sample", data | {"pair_sent": 5_000_700}), first=90)
    assert value(known, "relay_bytes_total", host="t.example", protocol="udp") == 700


def test_freezes_of_the_picture() -> None:
    known = meters()

    def froze(at: float, freezes: Scalar, frozen_ms: Scalar) -> tuple[float, str, dict[str, Scalar]]:
        return at, "sample", pair("direct", seconds=2.0, freezes=freezes, frozen_ms=frozen_ms)

    told(known, froze(2.0, 1, 620), froze(4.0, 2, 1000), froze(6.0, 0, 0), (8.0, "sample", pair("direct")))
    assert value(known, "picture_outage_seconds_count") == 3
    assert value(known, "picture_outage_seconds_sum") == pytest.approx(1.62)
    lies = (froze(9.0, *lie) for lie in ((-1, 5), (True, 5), (101, 5), (1, -5), (1, 1 << 50), ("1", "5")))
    told(known, *lies, froze(10.0, 1, 60_000), first=9)
    assert value(known, "picture_outage_seconds_count") == 3, "the last one is a camera that was off for a minute"
    told(known, (20.5, "suspect", {"evidence": "silence"}), froze(26.0, 1, 5_000), first=99)
    assert value(known, "picture_outage_seconds_count") == 4


def test_what_comes_twice_counts_once() -> None:
    known = meters()
    for _ in range(3):
        told(known, (1.0, "failed", {}), (2.0, "failed", {}))
    assert value(known, "failures_total") == 2
    told(known, (1.0, "failed", {}), page="another")
    assert value(known, "failures_total") == 3


def test_joins_and_refusals() -> None:
    known = meters()
    known.joined()
    known.refused("session-full", is_join=True)
    known.refused("limit", is_join=False)
    assert value(known, "joins_total", outcome="joined") == 1
    assert value(known, "joins_total", outcome="refused") == 1
    assert value(known, "refusals_total", code="limit") == 1


def test_gauges_are_read_when_they_are_asked_for() -> None:
    known = meters()
    quiet = Now(
        sessions=1, participants=2, sockets=3, journal_waiting=4, journal_lag=0.5, journal_lost=6, draining=True
    )
    servers: dict[str, Any] = {"urls": {URL: False}, "trips": {URL: 0.02}, "providers": {"cloudflare": True}}
    now = [quiet]
    known.registry.register(Gauges(lambda: now[0]))
    names = (
        "sessions",
        "participants",
        "sockets",
        "journal_waiting",
        "journal_lag_seconds",
        "journal_lost_total",
        "draining",
    )
    assert [value(known, name) for name in names] == [1, 2, 3, 4, 0.5, 6, 1]
    now[0] = replace(quiet, sessions=5, **servers)
    assert value(known, "sessions") == 5
    assert value(known, "ice_url_seconds", url=URL) == 0.02
    assert value(known, "provider_up", provider="cloudflare") == 1
    assert known.registry.get_sample_value("ice_console_ice_url_up", {"url": URL}) == 0.0


WORDS = st.sampled_from(
    ["path", "relay_protocol", "local_type", "server", "pair", "evidence", "rung", "code", "url", "reason"]
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=12), st.just("relay")
)
EVENTS = st.sampled_from(
    ["session", "signaling", "pair", "sample", "recovered", "suspect", "attempt", "restart", "candidate-error"]
)


@given(st.lists(st.tuples(st.floats(0, 1e6), EVENTS, st.dictionaries(WORDS, VALUES, max_size=9)), max_size=20))
def test_whatever_pages_tell_labels_are_few(events: list[tuple[float, str, dict[str, Scalar]]]) -> None:
    known = meters()
    told(known, *events)
    samples = [sample for family in known.registry.collect() for sample in family.samples]
    words = {
        word for sample in samples for label, word in sample.labels.items() if label not in ("le", "code", "outcome")
    }
    assert words <= {
        *("other", "direct", "relay", "", "udp", "tcp", "tls", "t.example", "silence", "not-heard", "no-echo"),
        *("network-changed", "disconnected", "failed", "channel-closed", "restart", "relay-only", "tcp-only"),
        "new-connection",
    }
