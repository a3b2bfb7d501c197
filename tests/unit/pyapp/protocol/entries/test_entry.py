"""Every entry: what it says, what of it is told, and what a record gives back of it, whatever a page made up."""

import json
import re
import unicodedata
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol import entries
from pyapp.protocol.entries import Entry, Mark, Unknown, negotiation, relays
from pyapp.protocol.entries.entry import LONGEST
from pyapp.protocol.entries.reading import classes, entry_of
from pyapp.protocol.journal import JournalEntry
from pyapp.protocol.wire import Scalar

PYAPP = Path(__file__).parents[5] / "pyapp"
CORE = PYAPP / "core"
PAIR = {
    "path": "relay",
    "local_type": "relay",
    "local_protocol": "udp",
    "local_address": "203.0.113.9",
    "local_port": 49152,
    "relay_protocol": "tls",
    "remote_type": "prflx",
    "remote_protocol": "udp",
    "round_trip_ms": 41.6,
}


@pytest.mark.parametrize(
    ("event", "data", "said"),
    [
        ("session", {"session": "demo", "policy": "all"}, "connecting to session demo"),
        ("session", {}, "hung up"),
        ("signaling", {"polite": False, "alone": True}, "joined the session"),
        ("signaling", {"code": 1006, "reason": ""}, "signaling closed"),
        ("signaling", {"obstacle": "blocked", "cause": "HTTP 403"}, "no WebSocket opens: HTTP 403"),
        ("signaling", {"problem": "kind: missing"}, "the server sent what is no message: kind: missing"),
        ("signaling", {"own": True, "problem": "too many"}, "not sent to the other side: too many"),
        ("peer", {"state": "away"}, "the server has lost the other side"),
        ("message", {"own": True, "problem": "too long"}, "a message was not taken: too long"),
        ("message", {"problem": "no JSON"}, "the other side sent what is no message: no JSON"),
        ("message", {"what": "heartbeat", "problem": "short"}, "the other side sent what is no heartbeat: short"),
        ("budget", {"scope": "day", "share": 0.8}, "the budget for relays: 80% used"),
        ("budget", {"scope": ""}, "the budget for relays is not in use"),
        ("ice-configuration", {"urls": "stun:a turn:b", "policy": "all"}, "2 ICE servers"),
        ("ice-configuration", {"urls": "", "policy": "all"}, "0 ICE servers"),
        ("ice-configuration", {"without": True}, "no ICE configuration: going on without relays"),
        ("ice-configuration", {"reason": "busy", "code": "limit"}, "no ICE configuration: busy"),
        ("check", {"state": "begun"}, "checking the network"),
        ("check", {"verdict": "udp-blocked", "problems": ""}, "the check says udp-blocked"),
        ("media", {"kind": "camera", "on": True}, "camera on"),
        ("media", {"kind": "screen", "on": False}, "screen off"),
        ("media", {"kind": "camera", "error": "NotAllowedError", "reason": ""}, "camera: NotAllowedError"),
        ("media", {"kind": "microphone", "muted": True}, "microphone muted by the system"),
        ("not-sent", {"kind": "video", "seconds": 3.4}, "nothing was sent of this page's video for 3 s"),
        ("network", {"kind": "change", "certain": True}, "network change"),
        ("slept", {"seconds": 61.5}, "the machine slept for 62 s"),
        (
            "failed",
            {"code": "no-path"},
            "the session could not go on, because no path was found between the two networks",
        ),
        ("failed", {"code": "gone"}, "the session could not go on, because the server said gone"),
        ("no-alarm", {"cause": "late", "seconds": 0.3}, "a late heartbeat, not late enough"),
        (
            "no-alarm",
            {"cause": "heard", "evidence": "failed"},
            "the browser says failed, and yet the other side is heard",
        ),
        ("suspect", {"evidence": "silence", "loss": 0.1}, "the path is suspect: silence"),
        ("attempt", {"rung": "restart", "number": 1}, "attempt 1: restart"),
        ("restart", {"reason": "attempt 1"}, "ICE restart, attempt 1"),
        ("restart", {"reason": "peer"}, "ICE restart, asked for by the other side"),
        ("restart", {"refused": True}, "no ICE restart: no new relay is given, and the one in use would be lost"),
        ("recovered", {"seconds": 0.604, "attempts": 1}, "the path works again after 0.60 s"),
        ("recovered", {"anew": True, "seconds": 2.0, "attempts": 0}, "a new connection works after 2.00 s"),
        ("standby", {"open": True, "host": "two.example"}, "a second path, through two.example, is ready"),
        (
            "standby",
            {"open": False, "host": "two.example", "reason": "over"},
            "no second path through two.example: the connection is over",
        ),
        (
            "ignored",
            {"what": "local offer", "why": "not-awaited", "state": "stable"},
            "local offer left aside: not awaited while stable",
        ),
        ("ignored", {"what": "{state}", "why": "{state}", "state": "x"}, "{state} left aside: {state}"),
        ("relay-suspected", {"url": "turn:one.example:3478"}, "the relay one.example did not answer any more"),
        ("relay-suspected", {"url": "nonsense"}, "a relay did not answer any more"),
        ("pair", PAIR, "relay path, from relay udp 203.0.113.9:49152 over tls to prflx udp, 42 ms"),
        ("candidate-error", {"code": 701, "reason": "no answer", "url": "stun:a"}, "701 no answer"),
        ("candidate-remote", {"end": True}, "end of candidates"),
        ("description", {"type": "offer", "own": False}, "offer received"),
        ("channel", {"label": "messages", "open": False}, "channel messages closed"),
        ("server-joined", {"name": "Ada", "address": "192.0.2.0"}, "joined the session"),
        ("server-error", {"code": "limit", "message": "Too fast."}, "was refused: Too fast."),
    ],
)
def test_says_what_happened(event: str, data: dict[str, Any], said: str) -> None:
    assert entry_of(event, data).text() == said


@pytest.mark.parametrize("event", ["peer", "channel", "check", "message", "signaling", "no-alarm", "stats", "state"])
def test_of_an_entry_that_does_not_say_enough_is_its_name(event: str) -> None:
    """As of earlier versions, which told the page in words what they did not tell the record."""
    assert entry_of(event, {}).text() == event.replace("-", " ")


def test_every_reason_of_the_core_has_its_words_and_none_is_left_over() -> None:
    """Found in the source: a code without words, or words without a code, is noticed nowhere else."""
    code = r"\"([a-z]+(?:-[a-z]+)*)\""
    text = "\n".join(path.read_text() for path in CORE.rglob("*.py"))
    restarts = re.findall(rf"(?:want_restart|restarts\.begin)\({code}", text) + re.findall(rf"\bwhy = {code}", text)
    of_standby = "".join((CORE / "path" / name).read_text() for name in ("standby.py", "aside.py"))
    ended = re.findall(rf"\.(?:failed|_?close)\({code}", of_standby)
    aside = re.findall(rf"entries\.Ignored\([^,()]*(?:\{{[^}}]*\}}[^,()]*)?, {code}", text)
    assert (set(restarts), set(ended), set(aside)) == (
        set(negotiation.RESTARTS),
        set(relays._STANDBY_OVER),
        set(negotiation._LEFT_ASIDE),
    )


ALL = [cls for each in classes().values() for cls in each]
SERVERS = [entries.ServerError, entries.ServerJoined, entries.ServerLeft, entries.ServerLost]
"""Those that the server makes."""
OF_TYPE: dict[Any, Scalar] = {str: "x", int: 3, float: 0.5, bool: True}
"""A value of each type that is no field's default."""
TURNING = {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of characters that turn what stands around them."""


def is_plain(said: str) -> bool:
    """Return whether there is a text, short, without control characters, and without those that turn it."""
    hidden = [one for one in said if unicodedata.category(one) in ("Cc", "Zl", "Zp")]
    return 0 < len(said) <= LONGEST and not hidden and not {unicodedata.bidirectional(one) for one in said} & TURNING


def examples(cls: Any) -> list[Entry]:
    """Return an entry with nothing but what is always told, and for each other field one that has it as well."""
    hints = get_type_hints(cls)
    first = {item.name: (get_args(hints[item.name]) or (hints[item.name],))[0] for item in fields(cls)}
    values = {name: OF_TYPE.get(kind, kind) for name, kind in first.items()}  # of a `Literal`, its first value
    always = {item.name: values[item.name] for item in fields(cls) if item.default is MISSING}
    return [cls(**always), *(cls(**always, **{name: values[name]}) for name in values.keys() - always.keys())]


def test_each_class_is_one_of_the_package_and_is_read_from_a_record() -> None:
    texts = [path.read_text() for path in (PYAPP / "protocol/entries").glob("*.py")]
    assert len(ALL) == sum(text.count("    event: ClassVar[str] = ") for text in texts)
    assert {cls.__name__ for cls in ALL} < set(entries.__all__)


@pytest.mark.parametrize("cls", ALL)
def test_what_is_told_of_each_is_read_back(cls: type[Entry]) -> None:
    for one in examples(cls):
        told = JournalEntry(1, 0.0, one.event, one.data())
        assert entry_of(told.event, json.loads(json.dumps(dict(told.data)))) == one
        assert is_plain(one.text())
        assert one.mark in get_args(Mark)


@pytest.mark.parametrize("cls", ALL)
def test_each_is_told_by_somebody(cls: type[Entry]) -> None:
    """What only earlier versions told needs no class: it is read as an unknown one."""
    text = "\n".join(path.read_text() for path in CORE.rglob("*.py"))
    name = cls.__name__
    used = re.search(rf"\bentries\.{name}\b|^from pyapp\.protocol\.entries\b.*\b{name}\b", text, re.MULTILINE)
    assert bool(used) != (cls in SERVERS)


def test_what_is_not_known_is_kept_as_it_is() -> None:
    data = {"kind": "x", "seconds": None}
    one = entry_of("of-the-future", data)
    assert (one.event, one.data(), one.text()) == ("of-the-future", data, "of the future")


@pytest.mark.parametrize(
    ("event", "data", "read"),
    [
        ("suspect", {"evidence": "silence"}, entries.Suspect("silence", 0, 0, 0.0)),
        ("network", {"kind": "change", "certain": True, "more": [1]}, entries.Network("change", certain=True)),
        ("slept", {"seconds": 61}, entries.Slept(61)),
        (
            "candidate-error",
            {"url": "stun:a", "code": 701, "address": None},
            entries.CandidateError("stun:a", 701, "", ""),
        ),
        ("session", {}, entries.HungUp()),
        ("ice-configuration", {"without": True}, entries.WithoutRelays(without=True)),
    ],
)
def test_of_another_version_is_read_what_is_there(event: str, data: dict[str, Any], read: Entry) -> None:
    assert entry_of(event, data) == read


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("suspect", {"evidence": 5}),
        ("suspect", {"evidence": "silence", "silence_ms": True}),
        ("suspect", {"evidence": "silence", "loss": float("nan")}),
        ("slept", {"seconds": 10**400}),
        ("slept", {"seconds": 1e300}),
        ("slept", {"seconds": "61"}),
        ("session", {"session": ["demo"]}),
        ("sample", {"seconds": 1.0, "loss_in": 2}),
        ("media", {"kind": "camera"}),
    ],
)
def test_what_no_version_tells_is_unknown_and_says_no_more_than_its_name(event: str, data: dict[str, Any]) -> None:
    assert entry_of(event, data) == Unknown(event, data)
    assert entry_of(event, data).text() == event


scalars = st.text(max_size=1024) | st.integers(-(2**53), 2**53) | st.floats() | st.booleans() | st.none()
FIELDS = sorted({item.name for cls in ALL for item in fields(cast("Any", cls))})


@given(st.sampled_from([*sorted(classes()), "another"]), st.dictionaries(st.sampled_from(FIELDS), scalars))
def test_is_short_and_plain_whatever_a_page_made_up(event: str, data: dict[str, Any]) -> None:
    assert is_plain(entry_of(event, data).text())


@given(st.sampled_from(ALL), st.data())
def test_is_short_and_plain_whatever_its_texts_are(cls: Any, data: st.DataObject) -> None:
    one = examples(cls)[0]
    texts = {name: data.draw(st.text(max_size=1024)) for name, value in one.data().items() if isinstance(value, str)}
    assert is_plain(entry_of(one.event, {**one.data(), **texts}).text())


def test_braces_in_the_data_are_no_form() -> None:
    assert entries.Fault("{error.__class__}", "x").text() == "{error.__class__}: x"
