"""The diagnostics while they are open."""

import json
from typing import Any

import pytest

from pyapp.core import commands, events
from pyapp.core.path.observation import STATS, STATS_EVERY, STATS_WATCHED_EVERY
from pyapp.view.console import present
from pyapp.view.insight import Insight, new_marks, new_samples
from tests.unit.pyapp.fakes import stats_of
from tests.unit.pyapp.sessions import SAMPLED, TURN, Core, connected

SHOWN, CLOSED = events.DiagnosticsShown(is_shown=True), events.DiagnosticsShown(is_shown=False)


def opened(remote: dict[str, Any] | None = None, **local: Any) -> Core:
    """Return one that is connected over these candidates, with the diagnostics open."""
    core = connected()
    core.do(SHOWN)
    stats = stats_of(("l1", "r1"), **local)
    stats["R"] |= remote or {}
    stats["N"] = {"type": "local-candidate", "candidateType": "srflx", "address": "203.0.113.9", "port": 7}
    for _ in range(2):
        core.now += 1.0
        core.do(events.StatsSampled(stats))
    return core


def insight(core: Core) -> Insight:
    return present(core.session).insight


def way(core: Core) -> list[tuple[str, str, str]]:
    return [(hop.leg, hop.name, hop.note) for hop in insight(core).hops]


def test_nothing_is_there_while_they_are_closed() -> None:
    core = opened()
    assert insight(core).is_shown
    core.do(CLOSED)
    assert insight(core) == Insight()


def test_while_they_are_open_the_path_is_measured_every_second() -> None:
    core = connected()
    assert core.do(SHOWN) == [commands.SampleStats()]
    core.do(SAMPLED)
    assert core.timers[STATS] == STATS_WATCHED_EVERY
    core.do(CLOSED)
    core.do(SAMPLED)
    assert core.timers[STATS] == STATS_EVERY


def test_on_one_network_there_is_nothing_between() -> None:
    core = opened({"address": "10.0.0.2"}, address="10.0.0.1")
    assert way(core) == [("", "You", "10.0.0.1"), ("LAN", "Other side", "10.0.0.2")]
    assert insight(core).way == "Within one network (LAN), over IPv4."


def test_through_the_internet_there_are_the_nats() -> None:
    core = opened({"candidateType": "srflx", "address": "198.51.100.2"}, candidateType="srflx", address="203.0.113.9")
    assert way(core) == [
        ("", "You", ""),
        ("", "Your NAT", "203.0.113.9"),
        ("UDP", "Their NAT", "198.51.100.2"),
        ("", "Other side", ""),
    ]


@pytest.mark.parametrize("url", [TURN, None])  # Firefox does not say it, but only one can be it
def test_over_relays_there_are_they_with_how_they_are_reached(url: str | None) -> None:
    ours = {"candidateType": "relay", "relayProtocol": "tls", "url": url, "address": "192.0.2.9"}
    core = opened({"candidateType": "relay", "address": "192.0.2.8"}, **ours)
    assert [(leg, name) for leg, name, _ in way(core)] == [
        ("", "You"),
        ("", "Your NAT"),
        ("TLS", "Your relay"),
        ("UDP", "Their relay"),
        ("", "Other side"),
    ]
    assert way(core)[2] == ("TLS", "Your relay", "turn.example.org")
    assert "cannot read" in insight(core).way


def test_the_tables_have_pairs_and_candidates() -> None:
    shown = insight(opened({"address": "2001:db8::7", "port": 9}))
    assert [row[1:3] for row in shown.pairs] == [("own address [2001:db8::7]:9", "in use")]
    assert ("yours", "behind NAT", "", "203.0.113.9:7", "") in shown.candidates


def test_the_table_follows_a_candidate_that_changes_and_one_that_goes() -> None:
    core = opened({"address": "192.0.2.1", "port": 9})
    presenter = core.presenter
    assert core.session.connection
    stats = dict(core.session.connection.observation.stats)
    first = presenter.present(core.session).insight.candidates
    core.do(events.StatsSampled(stats | {"R": {**stats["R"], "port": 10}}))
    moved = presenter.present(core.session).insight.candidates
    assert [row[3] for row in first if row not in moved] == ["192.0.2.1:9"]
    assert [row[3] for row in moved if row not in first] == ["192.0.2.1:10"]
    core.do(events.StatsSampled({key: entry for key, entry in stats.items() if key != "N"}))
    left = presenter.present(core.session).insight.candidates
    assert [row[3] for row in first if row not in left] == ["203.0.113.9:7"]


def test_what_was_measured_before_a_sleep_stays_where_it_was() -> None:
    core = opened()
    before = [sample["at"] for sample in new_samples(insight(core), -1.0)]
    assert before
    core.do(events.Slept(100.0))
    shown = insight(core)
    assert [sample["at"] for sample in new_samples(shown, -1.0)] == before
    asleep = next(mark for mark in new_marks(shown, -1.0) if mark["kind"] == "slept")
    assert float(str(asleep["at"])) >= float(str(before[-1])) + 100.0


def test_the_charts_are_told_what_is_new_and_nothing_twice() -> None:
    core = opened()
    core.do(events.NetworkChanged("change", certain=True))
    shown = insight(core)
    samples, marks = new_samples(shown, -1.0), new_marks(shown, -1.0)
    assert [sample["at"] for sample in samples] == [taken.unix for taken in shown.live.samples]
    assert {"path", "network"} <= {str(mark["kind"]) for mark in marks}
    json.dumps([*samples, *marks])
    assert not new_samples(shown, shown.live.latest_at)
    assert not new_marks(shown, shown.live.latest_at)
