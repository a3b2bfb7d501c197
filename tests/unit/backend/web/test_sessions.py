"""`GET /sessions`: the page for anybody, what was recorded for operators."""

import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.access.invitations import KEY_VARIABLE, new_invitation, sign
from backend.journal.entry import Record, server_entry
from backend.journal.export import FORMATS
from backend.journal.schema import FILE
from backend.journal.store import Store
from backend.web.server import Serving
from backend.web.sessions import MOST_POINTS, Sessions
from pyapp.protocol import entries
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.journal import JournalEntry
from tests.unit.backend.conftest import operator
from tests.unit.backend.journal.formats import read_rtcstats

KEY = "k" * 40
A, B = "a" * 32, "b" * 32
BEGUN = time.time() - 90_000
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*"}
REPORT = {"verdict": "udp-blocked", "problems": []}

Start = Callable[..., Awaitable[Serving]]


def record(store: Store, session: str, participant: str, *entries: JournalEntry, at: float = BEGUN) -> None:
    store.write([Record(session, participant, at, (one,), lambda _number: None) for one in entries])


def came(name: str, at: float = BEGUN) -> JournalEntry:
    return server_entry(entries.ServerJoined("", name), at=at)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    with Store(tmp_path / "journal" / FILE) as store:
        record(store, "calm-otter", A, came("Ada"), JournalEntry(1, BEGUN * 1000, "state", {"address": "192.0.2.7"}))
        record(store, "100%_sure", B, came("Bob", BEGUN + 10), at=BEGUN + 10)
    return tmp_path / "journal"


@pytest.fixture
async def server(start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return await start(open_to_all=False, journal=folder)


async def ask(
    http: aiohttp.ClientSession, server: Serving, path: str, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    async with http.get(f"{server.address}{path}", headers=headers or operator(server)) as response:
        is_json = response.content_type == "application/json"
        return response.status, await response.json() if is_json else await response.text()


async def test_the_latest_session_comes_first(server: Serving, http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, server, "sessions")
    assert status == 200
    assert [(one["id"], one["name"], one["people"]) for one in answer["sessions"]] == [
        (2, "100%_sure", ["Bob"]),
        (1, "calm-otter", ["Ada"]),
    ]
    assert not answer["more"]
    assert answer["sessions"][0]["outcome"] == "alone"


@pytest.mark.parametrize(
    ("search", "found"), [("otter", [1]), ("ada", [1]), ("%25_", [2]), ("o%25r", []), ("'", []), ("", [2, 1])]
)
async def test_sessions_are_found_by_name_and_by_person(
    server: Serving, http: aiohttp.ClientSession, search: str, found: list[int]
) -> None:
    _, answer = await ask(http, server, f"sessions?q={search}")
    assert [one["id"] for one in answer["sessions"]] == found


async def test_a_check_is_found_by_its_id_and_by_its_session(server: Serving, http: aiohttp.ClientSession) -> None:
    async with http.post(
        f"{server.address}checks?session=calm-otter", json=REPORT, headers=operator(server)
    ) as response:
        identifier = (await response.json())["id"]
    for search, found in (
        (identifier, [identifier]),
        (f" {identifier.upper()}", [identifier]),
        ("otter", [identifier]),
    ):
        _, answer = await ask(http, server, f"sessions?q={search}")
        assert [one["id"] for one in answer["checks"]] == found
    assert answer["checks"][0]["report"]["verdict"] == "udp-blocked"
    for search in ("", identifier[:9], "sure"):
        _, answer = await ask(http, server, f"sessions?q={search}")
        assert answer["checks"] == []


async def test_one_session(server: Serving, http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, server, "sessions/1")
    assert status == 200
    assert [(one["rule"], one["text"]) for one in answer["account"]] == [
        ("came", "Ada joined the session."),
        ("not-connected", "Nobody else came."),
    ]
    assert ["Ada", "state", {"address": "192.0.2.0"}, "state"] in [entry[1:] for entry in answer["log"]]


async def test_a_session_travels_compressed(server: Serving, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.address}sessions/1", headers=operator(server)) as response:
        assert response.headers["Content-Encoding"] in ("gzip", "deflate")
        assert (await response.json())["id"] == 1


def test_the_bytes_over_relays_are_those_of_the_meter(folder: Path) -> None:
    """Of a long session, samples are thinned: the last one that is left does not say what was carried."""
    relay: dict[str, Any] = {"local_type": "relay", "server": "turn:t.example:3478?transport=udp", "pair": "P1"}
    with Store(folder / FILE) as store:
        for number in (2, 3):
            told = JournalEntry(number, BEGUN * 1000, "sample", relay | {"ufrag": "u", "relayed": 100 * number})
            record(store, "calm-otter", A, told)
        store.connection.execute("delete from samples where number = 3")
    sessions = Sessions(folder / FILE)
    listed = sessions.list(search="otter", offset=0)["sessions"]
    assert [one["relayBytes"] for one in listed] == [{"t.example": 300}]
    one = sessions.one(1)
    assert one is not None
    assert one["relayBytes"] == listed[0]["relayBytes"]


async def test_how_soon_the_first_and_the_best_path_were_there(
    server: Serving, folder: Path, http: aiohttp.ClientSession
) -> None:
    story: list[tuple[float, str, dict[str, Any]]] = [
        (0.0, "session", {"session": "calm-otter", "policy": "all"}),
        (0.1, "signaling", {"polite": True, "alone": False}),
        (0.6, "pair", {"path": "relay", "local_type": "relay", "relay_protocol": "udp"}),
        (1.4, "pair", {"path": "direct", "local_type": "srflx"}),
    ]
    with Store(folder / FILE) as store:
        record(store, "calm-otter", B, came("Bob", BEGUN + 5), at=BEGUN + 5)
        for number, (after, event, data) in enumerate(story, start=1):
            told = JournalEntry(number, (BEGUN + 5 + after) * 1000, event, data)
            record(store, "calm-otter", B, told, at=BEGUN + 5 + after)
    _, answer = await ask(http, server, "sessions?q=otter")
    _, one = await ask(http, server, "sessions/1")
    for found in (answer["sessions"][0], one):
        assert found["connectSeconds"] == pytest.approx(0.6, abs=0.01)
        assert found["bestSeconds"] == pytest.approx(1.4, abs=0.01)


async def test_a_session_can_be_saved_in_each_format(server: Serving, http: aiohttp.ClientSession) -> None:
    texts = {}
    for form in FORMATS:
        async with http.get(f"{server.address}sessions/1?format={form}", headers=operator(server)) as response:
            assert response.status == 200
            texts[form] = await response.text()
    lines = [json.loads(line) for line in texts.pop("jsonl").splitlines()]
    assert [line["event"] for line in lines] == ["server-joined", "state"]
    dump = read_rtcstats(texts.pop("rtcstats"))
    assert {connection for _, connection, _, _ in dump.calls} - {None}, "a page load is a connection"
    internals = json.loads(texts.pop("webrtc-internals"))
    assert len(internals["PeerConnections"]) == 1
    assert not texts


@pytest.mark.parametrize("form", FORMATS)
async def test_a_guest_may_save_none(server: Serving, http: aiohttp.ClientSession, form: str) -> None:
    guest = sign(new_invitation("calm-otter", name="", ttl=600, now=time.time()), key=KEY)
    status, answer = await ask(http, server, f"sessions/1?format={form}", {INVITATION_HEADER: guest})
    assert status == 403
    assert "otter" not in str(answer)
    assert "\n" not in answer["message"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("sessions/99", 404, "No such session is recorded."),
        ("sessions/99?format=rtcstats", 404, "No such session is recorded."),
        ("sessions/1?format=pdf", 400, "format: one of jsonl, rtcstats, webrtc-internals"),
        ("sessions?offset=-1", 400, "offset: a whole number from 0"),
        (f"sessions?q={'x' * 101}", 400, "q: at most 100 characters"),
    ],
)
async def test_what_is_asked_for_wrongly(
    server: Serving, http: aiohttp.ClientSession, path: str, status: int, message: str
) -> None:
    told, answer = await ask(http, server, path)
    assert (told, answer["message"]) == (status, message)


@pytest.mark.parametrize("path", ["sessions", "sessions/1", "sessions/1?format=jsonl"])
async def test_only_operators_are_told(server: Serving, http: aiohttp.ClientSession, path: str) -> None:
    guest = sign(new_invitation("calm-otter", name="", ttl=600, now=time.time()), key=KEY)
    assert (await ask(http, server, path, {"Accept": "application/json"}))[0] == 401
    assert (await ask(http, server, path, {INVITATION_HEADER: guest}))[0] in (401, 403)
    status, text = await ask(http, server, path, PAGE)
    assert status == 200
    assert "otter" not in text, "the page that a browser navigates to is empty"


async def test_the_page_loads_what_there_is(server: Serving, http: aiohttp.ClientSession) -> None:
    _, of_list = await ask(http, server, "sessions", PAGE)
    assert 'src="sessions/sessions.mjs"' in of_list
    _, of_one = await ask(http, server, "sessions/1", PAGE)
    assert 'src="sessions.mjs"' in of_one
    assert re.search('data-charts="assets/charts-[0-9a-f]{16}/charts.mjs"', of_list)
    assert 'data-uplot="../assets/uplot-0123456789abcdef/uplot.mjs"' in of_one
    for name, kind in (("sessions.mjs", "text/javascript"), ("sessions.css", "text/css")):
        async with http.get(f"{server.address}sessions/{name}") as response:
            assert response.status == 200
            assert response.content_type == kind


def test_before_there_is_a_record_there_is_no_session(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / FILE)
    assert sessions.list(search="", offset=0) == {"sessions": [], "more": False, "relayed": None, "checks": []}
    assert sessions.one(1) is None


def test_the_charts_have_samples_of_every_hour_that_had_some(tmp_path: Path) -> None:
    """However they are numbered, how ever dense they are, and when ever they arrived."""
    day = 86_400
    with Store(tmp_path / FILE) as store:
        for participant in (A, B):
            record(store, "a-day", participant, came("Ada"))
            # What was thinned has odd numbers; the first hour is dense; an outage kept the last hour back.
            seconds = [*range(3600), *range(3600, day, 10)]
            told = [
                (
                    JournalEntry(2 * number + 1, (BEGUN + at) * 1000, "sample", {"seconds": 1.0, "round_trip_ms": 1.0}),
                    at,
                )
                for number, at in enumerate(seconds)
            ]
            store.write(
                [
                    Record("a-day", participant, BEGUN + (day if at > 23 * 3600 else at), (one,), lambda _number: None)
                    for one, at in told
                ]
            )
    found = Sessions(tmp_path / FILE).one(1)
    assert found is not None
    for page in found["pages"]:
        times = page["samples"]["at"]
        hours = Counter(int(at - times[0]) // 3600 for at in times)
        assert sorted(hours) == list(range(24))
        assert min(hours.values()) > 50
        assert len(times) <= MOST_POINTS


def test_a_session_of_a_day_has_all_its_outages(tmp_path: Path) -> None:
    with Store(tmp_path / FILE) as store:
        for participant in (A, B):
            told = [
                JournalEntry(
                    number,
                    (BEGUN + 10 * number) * 1000,
                    "suspect" if number % 360 == 0 else "recovered" if number % 360 == 1 else "sample",
                    {
                        "seconds": 10.0,
                        "round_trip_ms": 1.0,
                        "bits_in": number,
                        "pair": "CP1",
                        "server": "turn:t.example",
                    },
                )
                for number in range(1, 8641)
            ]
            record(store, "a-day", participant, came("Ada"))
            store.write([Record("a-day", participant, one.at / 1000, (one,), lambda _number: None) for one in told])
    found = Sessions(tmp_path / FILE).one(1)
    assert found is not None
    assert len(found["outages"]) == 24
    for page in found["pages"]:
        assert len(page["samples"]["at"]) <= MOST_POINTS
        assert {one["kind"] for one in page["marks"]} == {"suspect", "recovered"}
