"""The vocabulary: what goes in comes out, and what breaks a rule is refused with the field named."""

import json
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol.journal import MAX_JOURNAL_ENTRIES, Journal, Journaled, JournalEntry
from pyapp.protocol.names import check_session_name
from pyapp.protocol.peer import (
    MAX_SDP,
    Candidate,
    Description,
    RelaySuspected,
    RestartWanted,
    StandbyDescription,
    Unreadable,
)
from pyapp.protocol.signaling import (
    FATAL_CODES,
    ClientMessage,
    Cost,
    Error,
    HeldPlace,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Ping,
    Pong,
    Relay,
    Relayed,
    ServerMessage,
    Welcome,
    decode_client,
    decode_server,
)
from pyapp.protocol.wire import Message, MessageError, Scalar, encode, to_json

A, B = "a" * 32, "0123456789abcdef" * 2
OFFER = Description("offer", "v=0\r\na=ice-ufrag:x\r\n", 1)
CANDIDATE = Candidate("candidate:1 1 udp 1 192.0.2.1 9 typ host", "0", 0, "x")
END = Candidate("", None, 0, None)
ENTRY = JournalEntry(1, 1.5, "state", {"text": "ü", "number": 1, "real": 0.5, "yes": True, "none": None})
STANDBY = StandbyDescription("offer", "v=0\r\n", 1, "turns:t.example:443?transport=tcp")

CLIENT: list[ClientMessage] = [
    Join("demo", A, B),
    Join("a.b_c-d9", A, B, "token"),
    Join("demo", A, B, polite=True),
    Relay("", 1, 0, OFFER),
    Relay(A, 2, 7, CANDIDATE),
    Relay(A, 3, 7, END),
    Relay(A, 4, 7, RelaySuspected("turn:t.example:3478")),
    Relay(A, 4, 7, RestartWanted(3)),
    Relay(A, 5, 7, STANDBY),
    Relay(A, 6, 7, StandbyDescription("answer", "v=0\r\n", 1)),
    Relay(A, 0, 2**53 - 1, None),
    Journal((ENTRY,)),
    Journal((ENTRY,) * MAX_JOURNAL_ENTRIES),
    Ping(0),
    Leave(),
]
SERVER: list[ServerMessage] = [
    Welcome(polite=True, peer=""),
    Welcome(polite=False, peer=A),
    PeerJoined(A),
    PeerLeft(A),
    Relayed(A, 1, 0, OFFER),
    Relayed(A, 0, 9, None),
    Journaled(9),
    Pong(3),
    Cost("lower", "month", 0.82, 300, 1, 2, 0.01, 3.2, 5.1, "EUR"),
    Error("limit", "At most 50.", "messages-per-second"),
    Error("session-full", "Full."),
]


def refused(text: str, decode: Callable[[str], Any] = decode_client) -> MessageError:
    with pytest.raises(MessageError) as caught:
        decode(text)
    assert str(caught.value) == f"{caught.value.field}: {caught.value.rule}"
    return caught.value


class TestRoundTrip:
    @pytest.mark.parametrize("message", CLIENT, ids=repr)
    def test_of_what_a_client_says(self, message: ClientMessage) -> None:
        assert decode_client(encode(message)) == message

    @pytest.mark.parametrize("message", SERVER, ids=repr)
    def test_of_what_a_server_says(self, message: ServerMessage) -> None:
        assert decode_server(encode(message)) == message

    def test_is_tried_for_every_type(self) -> None:
        assert {type(message) for message in CLIENT} == set(get_args(ClientMessage))
        assert {type(message) for message in SERVER} == set(get_args(ServerMessage))

    @pytest.mark.parametrize("message", CLIENT, ids=repr)
    def test_is_one_line_of_ascii_json_or_utf8(self, message: ClientMessage) -> None:
        assert "\n" not in encode(message)

    def test_uses_the_names_of_the_w3c(self) -> None:
        value = to_json(Relay("", 1, 0, CANDIDATE))
        assert value["body"] == {
            "kind": "candidate",
            "candidate": CANDIDATE.candidate,
            "sdpMid": "0",
            "sdpMLineIndex": 0,
            "usernameFragment": "x",
        }

    def test_leaves_room_for_a_default(self) -> None:
        assert decode_client(f'{{"kind":"join","session":"demo","participant":"{A}","key":"{B}"}}') == CLIENT[0]


text = st.text(max_size=40)
number = st.integers(0, 2**53 - 1)
identifier = st.text("0123456789abcdef", min_size=32, max_size=32)
candidate = st.builds(
    Candidate,
    st.just("") | text.map("candidate:{}".format),
    text,
    st.none() | st.integers(0, 65535),
    st.none() | text,
)
description = st.builds(Description, st.sampled_from(["offer", "answer"]), text.map("v=0{}".format), number)
standby_offer = st.builds(
    StandbyDescription, st.just("offer"), text.map("v=0{}".format), number.filter(bool), text.map("turn:{}".format)
)
scalar = (
    st.none()
    | st.booleans()
    | text
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
entry = st.builds(
    JournalEntry,
    number.filter(bool),
    st.floats(allow_nan=False, allow_infinity=False),
    st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True),
    st.dictionaries(text, scalar, max_size=8),
)
client_message: st.SearchStrategy[ClientMessage] = st.one_of(
    st.builds(Join, st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True), identifier, identifier, text),
    st.builds(Relay, st.just("") | identifier, number.filter(bool), number, candidate | description | standby_offer),
    st.builds(Journal, st.lists(entry, min_size=1, max_size=3).map(tuple)),
    st.builds(Ping, number),
)


@given(client_message)
def test_any_message_comes_through_unchanged(message: ClientMessage) -> None:
    assert decode_client(encode(message)) == message


@given(st.text() | st.recursive(scalar, lambda inner: st.lists(inner) | st.dictionaries(text, inner)).map(json.dumps))
def test_any_text_is_a_message_or_refused(garbage: str) -> None:
    refused(garbage)
    refused(garbage, decode_server)


@given(client_message, st.data())
def test_any_field_with_any_other_value_is_a_message_or_refused(message: ClientMessage, data: st.DataObject) -> None:
    value = to_json(message)
    value[data.draw(st.sampled_from(sorted(value)))] = data.draw(scalar | st.lists(scalar) | st.just({}))
    try:
        changed = decode_client(json.dumps(value))
    except MessageError:
        return
    assert decode_client(encode(changed)) == changed


class TestNotJson:
    @pytest.mark.parametrize("garbage", ["", "hello", "{", '{"kind":"leave"}x', "{'kind':'leave'}", "\x00", "[" * 9])
    def test_is_refused(self, garbage: str) -> None:
        assert refused(garbage).field == "frame"

    @pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
    def test_numbers_are_refused_wherever_they_stand(self, constant: str) -> None:
        assert refused(f'{{"kind":"ping","number":{constant}}}').field == "frame"
        assert refused(f'{{"kind":"ping","number":1,"x":[{{"y":{constant}}}]}}').field == "frame"

    @pytest.mark.parametrize("opening", ['{"kind":', "["])
    def test_nesting_of_any_depth_is_refused(self, opening: str) -> None:
        closing = "}" if opening[0] == "{" else "]"
        for depth in (500, 100_000):
            refused(opening * depth + "1" + closing * depth)
            refused(f'{{"kind":"ping","number":{opening * depth}1{closing * depth}}}')
            refused(opening * depth)

    def test_half_of_a_surrogate_pair_is_refused(self) -> None:
        assert refused('{"kind":"join","session":"\\ud800"}').rule == "half of a surrogate pair is no text"
        assert refused(f'{{"kind":"{chr(0xD800)}"}}').field == "kind"

    def test_a_whole_surrogate_pair_is_text(self) -> None:
        value = json.dumps(to_json(Join("demo", A, B, "\U0001f600")))
        assert "\\ud83d" in value
        assert decode_client(value) == Join("demo", A, B, "\U0001f600")

    def test_digits_without_end_are_refused(self) -> None:
        assert refused(f'{{"kind":"ping","number":{"9" * 5000}}}').field == "frame"


class TestKind:
    @pytest.mark.parametrize("value", ["[]", "1", "null", '"join"', "true"])
    def test_stands_in_an_object(self, value: str) -> None:
        assert refused(value).rule == "an object"

    @pytest.mark.parametrize("value", ["{}", '{"kind":"dance"}', '{"kind":1}', '{"kind":null}', '{"kind":["join"]}'])
    def test_must_be_known(self, value: str) -> None:
        assert refused(value).field == "kind"

    @pytest.mark.parametrize("message", [message for message in SERVER if type(message) is not Error], ids=repr)
    def test_of_the_server_is_not_for_a_client(self, message: ServerMessage) -> None:
        assert refused(encode(message)).field == "kind"

    @pytest.mark.parametrize("message", CLIENT, ids=repr)
    def test_of_a_client_is_not_for_a_server(self, message: ClientMessage) -> None:
        assert refused(encode(message), decode_server).field == "kind"

    @pytest.mark.parametrize("inner", [OFFER, CANDIDATE, ENTRY], ids=repr)
    def test_of_what_is_carried_does_not_stand_alone(self, inner: Message) -> None:
        assert refused(encode(inner)).field == "kind"
        assert refused(encode(inner), decode_server).field == "kind"


@dataclass(frozen=True)
class Change:
    """`message` with `field` changed to `value` on the wire; the complaint names `blamed`, or else the field."""

    message: Message
    field: str
    value: Any
    blamed: str = ""


IDENTIFIERS: list[tuple[Message, str]] = [
    (Join("demo", A, B), "participant"),
    (Join("demo", A, B), "key"),
    (Relay("", 1, 0, OFFER), "to"),
    (Relayed(A, 1, 0, OFFER), "sender"),
    (Welcome(polite=True, peer=""), "peer"),
    (PeerJoined(A), "peer"),
    (PeerLeft(A), "peer"),
]
NUMBERS: list[tuple[Message, str]] = [
    (Relay("", 1, 0, OFFER), "number"),
    (Relay("", 1, 0, OFFER), "ack"),
    (Relayed(A, 1, 0, OFFER), "number"),
    (Relayed(A, 1, 0, OFFER), "ack"),
    (Ping(1), "number"),
    (Pong(1), "number"),
    (Journaled(1), "number"),
]
NOT_NUMBERS: tuple[Any, ...] = (-1, 2**53, 10**400, 1.0, 1.5, "1", True, False, None, [1], {})
WRONG = [
    *[
        Change(message, field, value)
        for message, field in IDENTIFIERS
        for value in ("x", "A" * 32, "a" * 31, "a" * 33, "a" * 31 + "\n", " " + A, 7, None, ["a"], True)
    ],
    *[Change(message, field, value) for message, field in NUMBERS for value in NOT_NUMBERS],
    *[
        Change(Join("demo", A, B), "session", value)
        for value in ("", ".hidden", "-x", "_x", "a b", "a/b", "../x", "a\n", "Ä", "a" * 65, None, 5)
    ],
    Change(Join("demo", A, B), "invitation", "x" * 4097),
    Change(Join("demo", A, B), "invitation", None),
    Change(Join("demo", A, B), "polite", 1),
    Change(Join("demo", A, B), "polite", "true"),
    Change(Relay("", 1, 0, OFFER), "number", 0),
    Change(Relay("", 1, 0, OFFER), "body", None, "number"),
    Change(Relay("", 0, 0, None), "number", 1),
    Change(Relay("", 1, 0, OFFER), "body", "offer"),
    Change(Relay("", 1, 0, OFFER), "body", [], "body"),
    Change(Relay("", 1, 0, OFFER), "body", {"kind": "leave"}, "kind"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(ENTRY), "kind"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"type": "rollback"}, "type"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"type": "pranswer"}, "type"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"sdp": "o=-"}, "sdp"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"sdp": None}, "sdp"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"exchange": -1}, "exchange"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"exchange": True}, "exchange"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"extra": 1}, "extra"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"candidate": "udp"}, "candidate"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"candidate": "candidate:" + "x" * 2048}, "candidate"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"sdpMid": None, "sdpMLineIndex": None}, "sdpMid"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"sdpMid": "x" * 257}, "sdpMid"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"sdpMLineIndex": -1}, "sdpMLineIndex"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"sdpMLineIndex": 65536}, "sdpMLineIndex"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"sdpMLineIndex": False}, "sdpMLineIndex"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"usernameFragment": "x" * 257}, "usernameFragment"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(CANDIDATE) | {"usernameFragment": 1}, "usernameFragment"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(STANDBY) | {"type": "rollback"}, "type"),
    Change(Relay("", 1, 0, OFFER), "body", to_json(STANDBY) | {"sdp": "o=-"}, "sdp"),
    *[
        Change(Relay("", 1, 0, OFFER), "body", to_json(STANDBY) | {"attempt": value}, "attempt")
        for value in (0, -1, 1.5, True, None, 2**53 + 1)
    ],
    *[
        Change(Relay("", 1, 0, OFFER), "body", to_json(STANDBY) | {"avoid": value}, "avoid")
        for value in ("", "stun:t.example", "turn:" + "x" * 512, None)
    ],
    Change(Relay("", 1, 0, OFFER), "body", to_json(STANDBY) | {"type": "answer"}, "avoid"),
    Change(Journal((ENTRY,)), "entries", []),
    Change(Journal((ENTRY,)), "entries", {}),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY)] * (MAX_JOURNAL_ENTRIES + 1)),
    Change(Journal((ENTRY,)), "entries", [None], "entries"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"number": 0}], "number"),
    Change(Journal((ENTRY,)), "entries", [{"kind": "leave"}], "kind"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"number": -1}], "number"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"at": "now"}], "at"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"at": True}], "at"),
    *[
        Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"at": value}], "at")
        for value in (10**400, -(10**400), 2**53)
    ],
    *[
        Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": {"x": value}}], "data.x")
        for value in (10**400, -(10**400), 2**53)
    ],
    Change(Welcome(polite=True, peer=""), "hold", 10**400),
    Change(Relay("", 1, 0, OFFER), "body", to_json(OFFER) | {"sdp": "v=0" + "x" * MAX_SDP}, "sdp"),
    *[
        Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"event": value}], "event")
        for value in ("", "State", "a b", "-a", "a\n", "a" * 65)
    ],
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": []}], "data"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": {str(n): n for n in range(49)}}], "data"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": {"x" * 65: 1}}], "data"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": {"x": "y" * 1025}}], "data.x"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": {"x": [1]}}], "data.x"),
    Change(Journal((ENTRY,)), "entries", [to_json(ENTRY) | {"data": {"x": {"y": 1}}}], "data.x"),
    Change(Welcome(polite=True, peer=""), "polite", 1),
    Change(Welcome(polite=True, peer=""), "polite", None),
    Change(Error("limit", "x"), "code", None),
    Change(Error("limit", "x"), "limit", 1),
    Change(Error("limit", "x"), "message", "x" * 1025),
    Change(Error("limit", "x"), "code", "x" * 65),
    Change(Error("limit", "x"), "limit", "x" * 65),
]


@pytest.mark.parametrize(
    "change", WRONG, ids=lambda change: f"{change.message.kind}.{change.field}={change.value!r:.40}"
)
def test_a_wrong_field_is_named(change: Change) -> None:
    decode = decode_client if isinstance(change.message, ClientMessage) else decode_server
    error = refused(json.dumps(to_json(change.message) | {change.field: change.value}), decode)
    assert error.field == (change.blamed or change.field)


@pytest.mark.parametrize("message", CLIENT, ids=repr)
def test_an_unknown_field_of_a_page_is_named(message: ClientMessage) -> None:
    error = refused(json.dumps(to_json(message) | {"__class__": 1}), decode_client)
    assert (error.field, error.rule) == ("__class__", f"no such field in '{message.kind}'")
    assert len(refused(json.dumps(to_json(message) | {"x" * 9999: 1}), decode_client).field) == 64


@pytest.mark.parametrize("message", SERVER, ids=repr)
def test_what_a_newer_server_adds_to_a_message_is_ignored(message: ServerMessage) -> None:
    assert decode_server(json.dumps(to_json(message) | {"__class__": 1, "novelty": {"of": ["it"]}})) == message


def test_what_a_newer_page_adds_to_a_message_is_ignored_and_what_is_new_altogether_is_told() -> None:
    known = Candidate("", "0", 0, None)
    value = to_json(Relayed("a" * 32, 1, 0, known, more=(known, known)))
    value["body"]["relayProtocol"] = "tls"
    value["more"][0] = {"kind": "wave", "hand": "left"}
    value["more"][1]["foundation"] = "1"
    message = decode_server(json.dumps(value))
    assert isinstance(message, Relayed)
    assert message.body == known
    unreadable, last = message.more
    assert isinstance(unreadable, Unreadable)
    assert last == known


@pytest.mark.parametrize("message", [*CLIENT, *SERVER], ids=repr)
def test_a_missing_field_is_named(message: ClientMessage | ServerMessage) -> None:
    decode = decode_client if isinstance(message, ClientMessage) else decode_server
    for name in (item.name for item in fields(message) if item.default is MISSING):
        value = to_json(message)
        del value[name]
        error = refused(json.dumps(value), decode)
        assert (error.field, error.rule) == (name, "missing")


@pytest.mark.parametrize("bad", [{}, [], 7, "x", {"kind": "new-in-2030"}, to_json(CANDIDATE) | {"candidate": "x"}])
def test_one_body_that_breaks_a_rule_leaves_the_others_as_they_are(bad: Any) -> None:
    frame = to_json(Relayed(A, 1, 0, OFFER, more=(CANDIDATE, END)))
    for where in ("body", 0, 1):
        changed = frame | {"more": list(frame["more"])}
        (changed if where == "body" else changed["more"])[where] = bad
        message = decode_server(json.dumps(changed))
        assert isinstance(message, Relayed)
        bodies = [message.body, *message.more]
        assert [type(body) for body in bodies].count(Unreadable) == 1
        assert len({OFFER, CANDIDATE, END} & set(bodies)) == 2


@pytest.mark.parametrize("name", ["a", "z9", "a.b-c_d", "a" * 64, "0", "日本", "straße-7".replace("ß", "ss")])
def test_a_session_name_is_returned(name: str) -> None:
    assert check_session_name(name) == name


def test_capitals_mean_the_same_session() -> None:
    assert Join("Demo-7", A, B).session == "demo-7"
    assert HeldPlace("Demo-7", A, B).session == "demo-7"


def test_numbers_that_a_journal_may_have_are_whole_or_real() -> None:
    for at in (1, 1.5, 0):
        assert decode_client(json.dumps(to_json(Journal((ENTRY,))) | {"entries": [to_json(ENTRY) | {"at": at}]}))


def test_a_held_place_comes_through_a_header_unchanged() -> None:
    place = HeldPlace("démo-日本", A, B)
    assert place.to_header().isascii()
    assert HeldPlace.from_header(place.to_header()) == place
    assert B not in repr(place)


@pytest.mark.parametrize(
    "text", ["", "demo", f"demo {A}", f"demo {A} {B} x", f"a/b {A} {B}", f"demo x {B}", f"demo {A} x"]
)
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(MessageError) as caught:
        HeldPlace.from_header(text)
    assert B not in str(caught.value)


def test_secrets_are_not_in_a_repr() -> None:
    shown = repr(Join("demo", A, B, "secret-token"))
    assert "secret-token" not in shown
    assert B not in shown


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_cannot_be_in_an_entry(value: Scalar) -> None:
    with pytest.raises(MessageError):
        JournalEntry(1, 0.0, "stats", {"x": value})


def test_every_message_is_frozen() -> None:
    for message in (*CLIENT, *SERVER, OFFER, CANDIDATE, ENTRY):
        for item in fields(message):
            with pytest.raises(FrozenInstanceError):
                setattr(message, item.name, None)


def test_fatal_codes_are_the_documented_ones() -> None:
    assert {
        "session-full",
        "replaced",
        "invitation-required",
        "invitation-invalid",
        "invitation-expired",
        "invitation-revoked",
        "not-joined",
    } == FATAL_CODES
