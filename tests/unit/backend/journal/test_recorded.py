"""The account of sessions that were recorded in the lab: of each row of the outages, and of cells of the grid."""

import re
from pathlib import Path

import pytest

from backend.journal.account import Account, account
from backend.journal.importing import import_files
from backend.journal.reading import recorded
from backend.journal.relayed import over_relays
from backend.journal.schema import FILE, open_to_read
from backend.journal.store import Store
from tests.lab.recorded import recorded_as
from tests.lab.recovery_events import events
from tests.lab.recovery_seen import Mode

LAB = Path(__file__).parent / "recorded"
"""Sessions of the lab, by row and by cell (`python -m tests.lab.recovery --record`, `python -m tests.lab --record`)."""

COMINGS = {"came", "left", "server-lost", "server-back"}
"""Rules about places at the server: sockets come and go as they like."""

CHANGED, BOTH_CHANGED = "The network of Guest 1 changed", "The networks of Guest 1 and Guest 2 changed"
SILENT_1, SILENT_2 = "Guest 1 heard nothing any more", "Guest 2 heard nothing any more"
NOT_HEARD = "Guest 1 was not heard any more"
UDP_1, UDP_2 = "through turn1.lab over UDP", "through turn2.lab over UDP"
TLS_1 = "through turn1.lab over TLS"
NO_DIRECT = ", because no direct path worked"
RELAYED = f"{UDP_1}{NO_DIRECT}"
BLOCKED = f"{TLS_1}, because the network of Guest 1 blocks UDP"

ROWS: list[tuple[str, str, tuple[str, str] | None, list[str]]] = [
    ("address", "0.4 s through turn2.lab", (CHANGED, "1.0 s, directly"), ["became-direct"]),
    ("address-camera", "0.2 s, directly", (CHANGED, "0.5 s, directly"), []),
    ("address-silent", "0.3 s, directly", (SILENT_1, "1.3 s, directly"), []),
    ("address-silent-camera", "0.1 s, directly", (SILENT_2, "0.9 s, directly"), []),
    ("handover", "0.2 s, directly", (CHANGED, "1.8 s, directly"), []),
    ("handover-camera", "0.1 s, directly", (CHANGED, "0.6 s, directly"), []),
    ("direct-again", f"0.7 s {RELAYED}", (CHANGED, "2.0 s, directly"), ["outage-left"]),
    ("direct-again-camera", f"0.1 s {RELAYED}", (CHANGED, "0.8 s, directly"), []),
    ("to-symmetric", f"0.3 s {UDP_1}", (CHANGED, f"0.5 s, {UDP_1}"), ["became-direct"]),
    ("to-symmetric-camera", "0.2 s, directly", (CHANGED, f"0.7 s, {UDP_1}"), []),
    ("to-udp-blocked", "0.2 s, directly", (CHANGED, f"0.3 s, {TLS_1}"), []),
    ("to-udp-blocked-camera", "0.1 s, directly", (CHANGED, f"0.5 s, {TLS_1}"), []),
    ("to-tls-only", f"0.4 s {TLS_1}", (CHANGED, f"1.1 s, {TLS_1}"), ["became-direct"]),
    ("to-tls-only-camera", "0.1 s, directly", (CHANGED, f"0.6 s, {TLS_1}"), []),
    ("back-from-symmetric", f"0.1 s {RELAYED}", (NOT_HEARD, "0.7 s, directly"), ["relay-died"]),
    ("back-from-symmetric-camera", f"0.1 s {RELAYED}", (NOT_HEARD, "1.2 s, directly"), ["relay-died"]),
    ("back-from-udp-blocked", f"0.1 s {BLOCKED}", None, ["became-direct"]),
    ("back-from-udp-blocked-camera", f"0.1 s {BLOCKED}", None, ["became-direct"]),
    ("back-from-tls-only", f"0.3 s {BLOCKED}", None, ["became-direct"]),
    ("back-from-tls-only-camera", f"0.1 s {BLOCKED}", None, ["became-direct"]),
    ("dock", "0.1 s, directly", (NOT_HEARD, "1.0 s, directly"), []),
    ("dock-camera", "0.2 s, directly", (NOT_HEARD, "1.1 s, directly"), []),
    ("route", "0.1 s, directly", (NOT_HEARD, "0.8 s, directly"), []),
    ("route-camera", "0.2 s, directly", (NOT_HEARD, "1.0 s, directly"), []),
    ("route-back", "0.3 s, directly", (NOT_HEARD, "1.0 s, directly"), []),
    ("route-back-camera", "0.2 s, directly", (NOT_HEARD, "1.1 s, directly"), []),
    ("vpn-up", "0.2 s, directly", (NOT_HEARD, "3.0 s, directly"), []),
    ("vpn-up-camera", "0.2 s, directly", (NOT_HEARD, "1.1 s, directly"), []),
    ("vpn-down", "0.3 s, directly", (SILENT_2, "0.8 s, directly"), []),
    ("vpn-down-camera", "0.2 s through turn1.lab over UDP", (SILENT_2, "1.0 s, directly"), ["became-direct"]),
    ("ipv6-goes", "0.3 s, directly", None, []),
    ("ipv6-goes-camera", "0.1 s, directly", None, []),
    ("ipv6-comes", "0.2 s, directly", None, []),
    ("ipv6-comes-camera", "0.1 s, directly", None, []),
    ("renumber", "0.2 s, directly", (SILENT_1, "0.7 s, directly"), []),
    ("renumber-camera", "0.2 s, directly", (SILENT_1, "1.4 s, directly"), []),
    ("forget", "0.2 s, directly", (SILENT_1, "0.7 s, directly"), []),
    ("forget-camera", "0.3 s, directly", (SILENT_1, "1.3 s, directly"), []),
    ("forget-relayed", f"0.6 s {RELAYED}", (SILENT_2, f"0.9 s, {UDP_2}"), ["relay-died"]),
    ("forget-relayed-camera", f"0.2 s {RELAYED}", (SILENT_2, f"1.0 s, {UDP_2}"), ["relay-died"]),
    ("both", "0.2 s, directly", (BOTH_CHANGED, "0.5 s, directly"), []),
    ("both-camera", "0.1 s, directly", (BOTH_CHANGED, "0.7 s, directly"), []),
    ("both-relay", "0.3 s, directly", (BOTH_CHANGED, f"0.8 s, {UDP_1}"), []),
    ("both-relay-camera", "1.6 s, directly", (BOTH_CHANGED, f"7.6 s, {UDP_1}"), []),
    ("both-silent", "0.5 s, directly", (SILENT_1, "1.3 s, directly"), []),
    ("both-silent-camera", "0.2 s, directly", (SILENT_1, "0.8 s, directly"), []),
    (
        "turn-killed",
        f"0.6 s {UDP_1} at both ends{NO_DIRECT}",
        (SILENT_1, f"1.3 s, {UDP_2}"),
        ["other-relay", "relay-died"],
    ),
    ("turn-killed-camera", f"0.9 s {RELAYED}", (SILENT_2, f"4.8 s, {UDP_2}"), ["relay-died"]),
    ("turn-swallowed", f"0.2 s {UDP_2}{NO_DIRECT}", (SILENT_1, f"0.8 s, {UDP_2}"), ["other-relay", "relay-died"]),
    ("turn-swallowed-camera", f"0.2 s {RELAYED}", (SILENT_1, f"1.4 s, {UDP_2}"), ["relay-died"]),
    ("turn-killed-standby", f"0.7 s {RELAYED}", (SILENT_1, f"4.3 s, {UDP_2}"), ["relay-died", "standby"]),
    ("turn-killed-standby-camera", f"0.2 s {RELAYED}", (SILENT_2, f"0.8 s, {UDP_2}"), ["relay-died", "standby"]),
    (
        "turn-swallowed-standby",
        f"0.8 s {UDP_1} at both ends{NO_DIRECT}",
        (SILENT_1, "2.9 s, through turn2.lab"),
        ["other-relay", "relay-died", "standby"],
    ),
    ("turn-swallowed-standby-camera", f"0.2 s {RELAYED}", (SILENT_1, f"0.9 s, {UDP_2}"), ["relay-died", "standby"]),
    ("server", "0.5 s, directly", None, []),
    ("server-camera", "0.1 s, directly", None, []),
    ("uplink", "0.2 s, directly", (SILENT_2, "22.5 s, directly"), []),
    ("uplink-camera", "0.1 s, directly", (SILENT_1, "21.8 s, directly"), []),
]
"""By recording: how they connected; the cause of the outage, how long it was and the path after it; the other rules.

In `direct-again` the lab put the network back, and they left at once.
"""


def of_lab(folder: Path, row: str) -> Account:
    (folder / "demo.jsonl").write_bytes((LAB / f"{row}.jsonl").read_bytes())
    with Store(folder / FILE) as store:
        import_files(store, folder)
        session = recorded(store.connection, 1)
        in_short = recorded(store.connection, 1, in_short=True)
    assert session is not None
    assert in_short is not None
    assert account(in_short) == account(session), "the list says what the session says"
    return account(session)


@pytest.mark.parametrize(("row", "connected", "outage", "others"), ROWS, ids=[row[0] for row in ROWS])
def test_rows_of_the_lab_get_the_right_account(
    row: str, connected: str, outage: tuple[str, str] | None, others: list[str], tmp_path: Path
) -> None:
    found = of_lab(tmp_path, row)
    told = [one for one in found.sentences if one.rule not in COMINGS]
    assert told[0].text == f"Connected after {connected}."
    outages = [one.text for one in told if one.rule == "outage"]
    assert outages == ([f"{outage[0]}; everything was back after {outage[1]}."] if outage else [])
    over = [one for one in found.outages if one.seconds is not None]
    assert len(over) == len(outages), "what both ends tell is one outage"
    assert sorted({one.rule for one in told[1:]} - {"outage"}) == others
    assert found.outcome == "connected", "that both left afterwards is no interruption"
    assert found.connect_seconds is not None


def test_each_row_is_recorded_in_each_mode() -> None:
    assert [row[0] for row in ROWS] == [recorded_as(row.name, mode) for row in events() for mode in Mode]


@pytest.mark.parametrize(
    ("cell", "rule", "how"),
    [
        ("same-lan", "connected-lan", ", directly, within one network"),
        ("same-lan-camera", "connected-lan", ", directly, within one network"),
        ("ipv6", "connected-direct", ", directly over IPv6"),
        ("relay-udp", "connected-relay", " through turn1.lab over UDP, because no direct path worked"),
        (
            "relay-tcp",
            "connected-relay",
            " through turn1.lab over TCP, because the network of Guest 2 blocks UDP",
        ),
        (
            "relay-tls",
            "connected-relay",
            " through turn1.lab over TLS, because the network of Guest 2 blocks UDP",
        ),
        (
            "relays-tls",
            "connected-relay",
            " through turn1.lab over TLS and turn2.lab over TLS, because the networks of Guest 1 and Guest 2 block UDP",
        ),
    ],
)
def test_cells_of_the_grid_get_the_right_account(cell: str, rule: str, how: str, tmp_path: Path) -> None:
    found = of_lab(tmp_path, cell)
    told = [one for one in found.sentences if one.rule not in COMINGS]
    assert [one.rule for one in told] == [rule]
    assert re.fullmatch(rf"Connected after 0\.\d s{re.escape(how)}\.", told[0].text)
    assert found.outcome == "connected"
    assert found.outages == []


@pytest.mark.parametrize(
    ("row", "connected", "best"),
    [("back-from-udp-blocked", 0.10, 4.38), ("back-from-tls-only", 0.28, 4.52), ("address", 0.40, 0.46)],
)
def test_the_best_path_is_the_direct_one_that_came_after_the_relay(
    row: str, connected: float, best: float, tmp_path: Path
) -> None:
    found = of_lab(tmp_path, row)
    assert found.connect_seconds == pytest.approx(connected, abs=0.005)
    assert found.best_seconds == pytest.approx(best, abs=0.005)


@pytest.mark.parametrize("row", ["to-udp-blocked", "relay-tls", "direct-again", "turn-killed", "same-lan"])
def test_without_a_better_path_before_the_first_outage_the_first_one_is_the_best(row: str, tmp_path: Path) -> None:
    found = of_lab(tmp_path, row)
    assert found.best_seconds is not None
    assert found.best_seconds == found.connect_seconds


def test_both_relays_of_an_outage_are_told(tmp_path: Path) -> None:
    found = of_lab(tmp_path, "turn-killed")
    assert "turn1.lab over UDP" in found.paths
    assert "turn2.lab over UDP" in found.paths
    with open_to_read(tmp_path / FILE) as connection:
        assert over_relays(connection, 1) == {"turn1.lab": 42032, "turn2.lab": 46076}
