"""The shapes that providers answer in: each as it is documented, and whatever else may come."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ice.shapes import Named, NamedServer, ShapeError, read_named, read_seconds
from backend.ice.urls import sort_out

UDP, TLS = "turn:t.example:3478?transport=udp", "turns:t.example:443?transport=tcp"
STUN = "stun:s.example:3478"
BOTH = (NamedServer((STUN,)), NamedServer((UDP, TLS), "u", "c"))
TURN = {"urls": [UDP, TLS], "username": "u", "credential": "c"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"iceServers": [{"urls": [STUN]}, TURN]}, Named(BOTH)),  # Cloudflare
        ({"iceServers": {"urls": [STUN, UDP, TLS], "username": "u", "credential": "c"}}, Named(BOTH)),  # its legacy
        (  # Twilio
            {
                "username": "u",
                "password": "c",
                "ttl": "86400",
                "ice_servers": [
                    {"url": STUN, "urls": STUN},
                    {"url": UDP, "urls": UDP, "username": "u", "credential": "c"},
                    {"url": TLS, "urls": TLS, "username": "u", "credential": "c"},
                ],
            },
            Named((BOTH[0], NamedServer((UDP,), "u", "c"), NamedServer((TLS,), "u", "c")), 86400.0),
        ),
        ([{"urls": STUN}, TURN], Named(BOTH)),  # Metered
        ({"v": {"iceServers": {"username": "u", "urls": [STUN, UDP, TLS], "credential": "c"}}, "s": "ok"}, Named(BOTH)),
        ({"d": {"iceServers": [{"url": STUN}, TURN]}, "s": 200}, Named(BOTH)),  # Xirsys, of old
        ({"username": "u", "password": "c", "uris": [UDP, TLS], "ttl": 600}, Named(BOTH[1:], 600.0)),  # draft-uberti
        (  # AWS
            {"IceServerList": [{"Uris": [UDP, TLS], "Username": "u", "Password": "c", "Ttl": 300}]},
            Named(BOTH[1:], 300.0),
        ),
        (  # Google
            {"lifetimeDuration": "86400s", "iceServers": [{"urls": [STUN]}, TURN], "blockStatus": "NOT_BLOCKED"},
            Named(BOTH, 86400.0),
        ),
    ],
)
def test_each_shape(value: Any, expected: Named) -> None:
    assert read_named(value) == expected
    assert read_named(json.loads(json.dumps(value))) == expected


def test_what_would_break_a_line_or_could_not_be_sent() -> None:
    entries = [{"urls": [f"{STUN}\n"]}, {"urls": UDP, "username": "u\n", "credential": "c"}]
    named = read_named([*entries, {"urls": [TLS, f"{TLS}\n"], "username": "\ud800", "credential": "c"}])
    assert named.servers == BOTH[:1]
    assert all(one.url.isprintable() for one in named.left_out)


def test_what_is_of_no_use_is_left_out_and_the_rest_taken() -> None:
    named = read_named(
        [
            {"urls": ["stuns:s.example", "x", STUN, 5]},
            {"urls": UDP},
            {"urls": None},
            {"urls": TLS, "username": 7} | TURN,
        ]
    )
    assert named.servers == (BOTH[0], BOTH[1])
    assert [one.url for one in named.left_out] == ["stuns:s.example", "a URL", UDP]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (None, "must be a list"),
        ("text", "must be a list"),
        ([1], "must be a list"),
        ({"iceServers": "turn:t.example"}, "must be a list"),
        ({"error": "no"}, "names no server"),
        ({"s": "error", "v": "unauthorized: secret"}, "'s': 'error'"),
        ({"iceServers": []}, "names no server"),
        ([{"urls": UDP, "username": "u"}], "without a user name and a credential"),
    ],
)
def test_what_names_no_server(value: Any, rule: str) -> None:
    with pytest.raises(ShapeError, match=rule) as caught:
        read_named(value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (300, 300.0),
        (1.5, 1.5),
        ("300", 300.0),
        (" 300 ", 300.0),
        ("86400s", 86400.0),
        ("3.5s", 3.5),
    ],
)
def test_times_to_live(value: Any, seconds: float) -> None:
    assert read_seconds(value) == seconds


@pytest.mark.parametrize(
    "value", [0, -1, True, None, "", "soon", "-5", "1e9", float("nan"), float("inf"), 10**30, [], {}]
)
def test_what_is_no_time(value: Any) -> None:
    assert read_seconds(value) is None


KEYS = st.sampled_from(
    [
        *("iceServers", "ice_servers", "IceServerList", "v", "d", "s", "urls", "url", "uris", "Uris"),
        *("username", "credential", "password", "ttl", "Ttl", "lifetimeDuration"),
    ]
)
URLS = st.sampled_from([UDP, TLS, STUN])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | URLS
ANSWERS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner),
    max_leaves=25,
)


@given(ANSWERS)
def test_any_answer_is_read_or_refused(value: Any) -> None:
    try:
        named = read_named(value)
    except ShapeError:
        return
    assert named.servers
    assert named.lifetime is None or 0 < named.lifetime < 2**53
    for server in named.servers:
        assert sort_out(server.urls).urls == server.urls  # as browsers take them
        assert bool(server.username and server.credential) == server.urls[0].startswith("turn")


@given(st.permutations([UDP, TLS, STUN, "stun:s2.example", "turn:u.example"]), st.booleans(), st.booleans())
def test_one_entry_or_many_name_the_same(urls: list[str], together: bool, wrapped: bool) -> None:
    with_credentials = {"username": "u", "credential": "c"}
    entries: Any = {"urls": urls} | with_credentials if together else [{"urls": url} | with_credentials for url in urls]
    named = read_named({"iceServers": entries} if wrapped else entries)
    assert sorted(url for server in named.servers for url in server.urls) == sorted(urls)
