"""Exports, read back by readers that were written from the specifications."""

import json
from pathlib import Path
from typing import Any

import pytest

import server
from backend.journal.checks import Check, keep_check
from backend.journal.clocks import offsets
from backend.journal.entry import Record, server_entry
from backend.journal.export import FORMATS, exported
from backend.journal.reading import Recorded, latest_of, recorded
from backend.journal.schema import FILE, open_to_read
from backend.journal.store import Store
from pyapp.protocol.entries import ServerJoined
from pyapp.protocol.journal import JournalEntry
from tests.unit.backend.journal.formats import read_rtcstats

A, B = "a" * 32, "b" * 32
BEGUN = 1_700_000_000.0
AHEAD = 3600.0
"""Seconds by which the clock of A's page is wrong."""

TOLD: list[tuple[float, str, dict[str, Any]]] = [
    (0.0, "session", {"session": "demo", "policy": "all"}),
    (0.2, "signaling", {"polite": False, "alone": True}),
    (0.3, "ice-configuration", {"urls": "stun:s.example turn:t.example", "policy": "all", "credential": "SeCrEt"}),
    (0.4, "description", {"type": "offer", "exchange": 1, "own": True}),
    (0.5, "candidate-local", {"type": "host", "protocol": "udp", "address": "10.1.2.3", "port": 9, "priority": 7}),
    (
        0.55,
        "candidate-local",
        {"type": "relay", "protocol": "udp", "address": "198.51.100.7", "port": 9, "priority": 1},
    ),
    (0.6, "candidate-local", {"end": True}),
    (0.65, "candidate-error", {"url": "turn:t.example:3478?transport=tcp", "code": 701, "address": "10.1.2.3"}),
    (0.7, "description", {"type": "answer", "exchange": 1, "own": False}),
    (0.8, "candidate-remote", {"type": "srflx", "protocol": "udp", "address": "203.0.113.9", "port": 8, "priority": 3}),
    (0.9, "state", {"state": "ice-connection", "value": "connected"}),
    (1.0, "pair", {"pair": "CP1", "path": "relay", "local_type": "relay", "local_address": "198.51.100.7"}),
    (9.0, "suspect", {"evidence": "silence"}),
    (9.5, "recovered", {"seconds": 0.6}),
    (12.0, "sample", {"seconds": 2.0, "pair": "CP1", "round_trip_ms": 40.5, "pair_sent": 7, "frames_in": 30.0}),
    (20.0, "session", {}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Store(tmp_path / FILE) as store:
        joined = server_entry(ServerJoined("192.0.2.77", "Ada"), at=BEGUN + 0.1)
        store.write([Record("demo", A, BEGUN + 0.1, (joined,), print)])
        entries = [
            JournalEntry(number, (BEGUN + AHEAD + at) * 1000, event, data)
            for number, (at, event, data) in enumerate(TOLD, start=1)
        ]
        store.write(
            [Record("demo", A, BEGUN + at + 1, (one,), print) for one, (at, _, _) in zip(entries, TOLD, strict=True)]
        )
    return tmp_path


@pytest.fixture
def session(folder: Path) -> Recorded:
    with open_to_read(folder / FILE) as connection:
        found = recorded(connection, latest_of(connection, "demo") or 0)
    assert found is not None
    return found


def test_the_clock_of_a_page_is_put_right_by_its_join(session: Recorded) -> None:
    assert offsets(session.entries)[A] == pytest.approx(-AHEAD, abs=0.01)
    told = session.told
    assert [one.event for one in told][:3] == ["session", "server-joined", "signaling"]
    assert told[0].at == pytest.approx(BEGUN, abs=0.01)


def test_of_a_page_whose_join_is_not_known_the_quickest_entry_says_how_late_it_is() -> None:
    entries = [
        {"participant": B, "number": number, "at": at * 1000, "time": came, "event": "state", "data": {}}
        for number, at, came in ((1, 100.0, 90.5), (2, 101.0, 91.2), (3, 102.0, 93.0))
    ]
    assert offsets(entries)[B] == pytest.approx(-9.8)


def test_rtcstats_is_read_back(session: Recorded) -> None:
    text = "".join(exported(session, "rtcstats"))
    assert text.endswith("\n")
    dump = read_rtcstats(text)
    assert dump.header["startTime"] == round((BEGUN + 0.1) * 1000)
    assert dump.calls[0][0] == pytest.approx(BEGUN * 1000, abs=20)
    assert dump.calls[-1][0] == pytest.approx((BEGUN + 20) * 1000, abs=20)
    assert [name for _, _, name, _ in dump.calls if not name.startswith("server-")] == [
        *("create", "session", "signaling", "ice-configuration", "createOffer", "setLocalDescription"),
        *("onicecandidate", "onicecandidate", "onicecandidate", "onicecandidateerror", "setRemoteDescription"),
        *("addIceCandidate", "oniceconnectionstatechange", "getStats", "suspect", "recovered", "getStats", "close"),
    ]
    [[configuration]] = dump.of("create")
    assert configuration["iceServers"] == [{"urls": ["stun:s.example", "turn:t.example"]}]
    host, relay, end = (values[0] for values in dump.of("onicecandidate"))
    assert host["candidate"] == "candidate:0 1 udp 7 10.1.2.0 9 typ host"
    assert "198.51.100.7" in relay["candidate"]
    assert end is None
    assert dump.of("oniceconnectionstatechange") == [["connected"]]
    assert dump.of("suspect") == [[{"evidence": "silence"}]], "the outage is in it"
    report = dump.of("getStats")[1][0]
    assert report["T01"]["selectedCandidatePairId"] == "CP1"
    assert report["CP1"]["currentRoundTripTime"] == pytest.approx(0.0405)
    assert {one["id"] for one in report.values()} == set(report)


def test_webrtc_internals_is_read_back(session: Recorded) -> None:
    dump = json.loads("".join(exported(session, "webrtc-internals")))
    assert dump.keys() == {"PeerConnections", "getUserMedia", "UserAgent"}
    [connection] = dump["PeerConnections"].values()
    assert json.loads(connection["rtcConfiguration"])["iceTransportPolicy"] == "all"
    assert {"time", "type", "value"} == set(connection["updateLog"][0])
    assert {"createOffer", "suspect"} <= {one["type"] for one in connection["updateLog"]}
    series = connection["stats"]["CP1-currentRoundTripTime"]
    assert series["statsType"] == "candidate-pair"
    assert json.loads(series["values"]) == [0.0405]
    assert series["startTime"].endswith("Z")


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_has_secrets_or_whole_addresses(form: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.main(["export", "demo", "--format", form, "--journal", str(folder)]) == 0
    text = capsys.readouterr().out
    assert text.endswith("\n")
    for hidden in ("SeCrEt", "10.1.2.3", "203.0.113.9", "192.0.2.77"):
        assert hidden not in text
    assert "198.51.100.7" in text


def test_json_lines_have_every_entry_and_a_number_names_the_session_as_well(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.main(["export", "1", "--journal", str(folder)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines if line["number"]] == [event for _, event, _ in TOLD]


def test_the_id_of_a_check_names_its_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = Check(7.0, {"verdict": "udp-blocked"}, "demo")
    with Store(folder / FILE) as store:
        keep_check(store, check)
    assert server.main(["export", check.id.upper(), "--journal", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out) == check.to_json()


@pytest.mark.parametrize("name", ["other", "2", "99999999999999999999"])
def test_what_is_not_there_is_said(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.main(["export", name, "--journal", str(folder)]) == 2
    assert f"export: no session and no check '{name}' is recorded" in capsys.readouterr().err


def test_without_a_record_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.main(["export", "demo", "--journal", str(tmp_path)]) == 2
    assert "record.sqlite: unable to open" in capsys.readouterr().err
