"""URIs, configurations and candidates: what a browser takes, and what nobody does."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol.ice import (
    CandidateLine,
    IceConfiguration,
    IceError,
    IceServer,
    IceUrl,
    ice_configuration_from_json,
    parse_candidate,
    parse_ice_url,
    parse_reported_url,
    username_fragments,
    without_stale_candidates,
)

TURN = "turn:turn.example.org:3478?transport=udp"


class TestUri:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("stun:stun.example.org", IceUrl("stun", "stun.example.org", 3478, "udp")),
            ("stun:stun.example.org:19302", IceUrl("stun", "stun.example.org", 19302, "udp")),
            ("stun:192.0.2.1:54", IceUrl("stun", "192.0.2.1", 54, "udp")),
            ("turn:T.Example", IceUrl("turn", "t.example", 3478, "udp")),
            ("stun:[2001:DB8:0::1]", IceUrl("stun", "[2001:db8::1]", 3478, "udp")),
            ("stun:[2001:db8::1]", IceUrl("stun", "[2001:db8::1]", 3478, "udp")),
            ("stun:[2001:db8::1]:5000", IceUrl("stun", "[2001:db8::1]", 5000, "udp")),
            ("stun:[::ffff:192.0.2.1]", IceUrl("stun", "[::ffff:192.0.2.1]", 3478, "udp")),
            ("turn:localhost", IceUrl("turn", "localhost", 3478, "udp")),
            (TURN, IceUrl("turn", "turn.example.org", 3478, "udp")),
            ("turn:t.example:3478?transport=tcp", IceUrl("turn", "t.example", 3478, "tcp")),
            ("turn:t.example:80?transport=tcp", IceUrl("turn", "t.example", 80, "tcp")),
            ("turn:t.example:443", IceUrl("turn", "t.example", 443, "udp")),
            ("turn:t.example:1024", IceUrl("turn", "t.example", 1024, "udp")),
            ("turn:t.example:65535", IceUrl("turn", "t.example", 65535, "udp")),
            ("turns:t.example", IceUrl("turns", "t.example", 5349, "tls")),
            ("turns:t.example:443?transport=tcp", IceUrl("turns", "t.example", 443, "tls")),
            ("turns:[2001:db8::1]:443?transport=tcp", IceUrl("turns", "[2001:db8::1]", 443, "tls")),
        ],
    )
    def test_is_taken_apart(self, text: str, expected: IceUrl) -> None:
        assert parse_ice_url(text) == expected
        assert expected.is_turn == text.startswith("turn")

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("", "not a stun:"),
            ("stun:", "not a stun:"),
            ("stun", "not a stun:"),
            ("http://example.org", "not a stun:"),
            ("stun://example.org", "not a stun:"),
            ("turn:user@example.org", "not a stun:"),
            ("turn:example.org/path", "not a stun:"),
            ("turn:example.org#x", "not a stun:"),
            ("turn:example.org:", "not a stun:"),
            ("turn:example.org:x", "not a stun:"),
            ("turn:example.org:-1", "not a stun:"),
            ("turn:example.org:123456", "not a stun:"),
            ("turn:example.org?", "not a stun:"),
            ("turn:example.org?transport=", "not a stun:"),
            ("turn:example.org?transport=udp&x=1", "not a stun:"),
            ("turn:example.org?ttl=1", "not a stun:"),
            ("turn:2001:db8::1", "an IPv6 address stands in brackets"),
            ("turn:[2001:db8::1", "not a stun:"),
            ("turn:[example.org]", "not a stun:"),
            ("turn:-example.org", "not a stun:"),
            ("turn:example.org-", "not a stun:"),
            ("turn:exa mple.org", "not a stun:"),
            (" turn:example.org", "not a stun:"),
            ("turn:example.org\n", "not a stun:"),
            ("turn:exämple.org", "not a stun:"),
            ("stun:example.org:0", "the port must be"),
            ("stun:example.org:65536", "the port must be"),
            ("stuns:example.org", "no browser speaks STUN over TLS"),
            ("stun:example.org?transport=udp", "has no transport"),
            ("turn:example.org?transport=sctp", "must be 'udp' or 'tcp'"),
            ("turn:example.org?transport=tls", "must be 'udp' or 'tcp'"),
            ("turns:example.org?transport=udp", "TURN over DTLS"),
            ("turn:example.org:53", "browsers refuse port 53"),
            ("stun:example.org:53", "browsers refuse port 53"),
            ("turn:example.org:1023", "browsers refuse TURN on port 1023"),
            ("turns:example.org:22", "browsers refuse TURN on port 22"),
        ],
    )
    def test_is_refused_with_the_rule(self, text: str, rule: str) -> None:
        with pytest.raises(IceError, match=rule):
            parse_ice_url(text)

    def test_is_quoted_in_the_complaint_but_not_at_any_length(self) -> None:
        with pytest.raises(IceError) as caught:
            parse_ice_url("x" * 100_000)
        assert len(str(caught.value)) < 400

    @pytest.mark.parametrize("host", ["[:::]", "[1]", "[....]", "[2001:db8::1::2]"])
    def test_with_what_is_no_ipv6_address_is_refused(self, host: str) -> None:
        with pytest.raises(IceError):
            parse_ice_url(f"turn:{host}:3478")

    @pytest.mark.parametrize(
        ("reported", "configured"),
        [
            ("turn:2001:db8::1:3478?transport=udp", "turn:[2001:DB8:0::1]"),
            ("turns:2001:db8::1:443?transport=tcp", "turns:[2001:db8::1]:443"),
            ("turn:::1:3478?transport=tcp", "turn:[::1]?transport=tcp"),
            ("stun:2001:db8::1:3478", "stun:[2001:db8::1]"),
            ("turn:::ffff:192.0.2.1:3478?transport=udp", "turn:[::ffff:c000:201]"),
            ("turn:[2001:db8::1]:3478?transport=udp", "turn:[2001:db8::1]"),
            ("turn:t.example:3478?transport=udp", "turn:T.example"),
        ],
    )
    def test_that_a_browser_reports_is_the_one_that_was_configured(self, reported: str, configured: str) -> None:
        assert parse_reported_url(reported) == parse_ice_url(configured)

    @given(st.text())
    def test_any_reported_text_is_a_uri_or_refused(self, text: str) -> None:
        for reported in (text, f"turn:{text}:1"):
            with contextlib.suppress(IceError):
                assert parse_reported_url(reported).port > 0

    @given(st.text())
    def test_any_text_is_a_uri_or_refused(self, text: str) -> None:
        with contextlib.suppress(IceError):
            assert parse_ice_url(text).port > 0


STUN, ONE_UDP, ONE_TLS = "stun:one.example", "turn:one.example:3478", "turns:one.example:443?transport=tcp"
TWO_UDP = "turn:two.example:3478?transport=udp"
TWO_TLS = "turns:two.example:443?transport=tcp"


def configured(*urls: str) -> IceConfiguration:
    return IceConfiguration(tuple(IceServer((url,), "user", "secret") for url in urls))


CONFIGURATIONS = [
    IceConfiguration(),
    IceConfiguration((IceServer(("stun:stun.example.org",)),)),
    IceConfiguration(
        (
            IceServer(("stun:stun.example.org", "stun:stun2.example.org")),
            IceServer((TURN, "turns:turn.example.org:443"), "1700000000:demo", "secret", "turn-eu"),
        ),
        policy="relay",
        pool_size=1,
        expires=1_700_000_000.0,
        lifetime=3600.0,
        standby=True,
    ),
]


class TestConfiguration:
    @pytest.mark.parametrize("configuration", CONFIGURATIONS)
    def test_comes_through_json_unchanged(self, configuration: IceConfiguration) -> None:
        assert ice_configuration_from_json(json.loads(json.dumps(configuration.to_json()))) == configuration

    def test_for_the_browser_has_only_w3c_names(self) -> None:
        value = CONFIGURATIONS[2].to_rtc_configuration()
        assert value == {
            "iceServers": [
                {"urls": ["stun:stun.example.org", "stun:stun2.example.org"]},
                {"urls": [TURN, "turns:turn.example.org:443"], "username": "1700000000:demo", "credential": "secret"},
            ],
            "iceTransportPolicy": "relay",
            "bundlePolicy": "max-bundle",
            "rtcpMuxPolicy": "require",
            "iceCandidatePoolSize": 1,
        }

    def test_that_says_less_has_defaults(self) -> None:
        assert ice_configuration_from_json({"iceServers": []}) == IceConfiguration()

    @pytest.mark.parametrize(
        "value",
        [
            None,
            [],
            "x",
            3,
            {},
            {"iceServers": None},
            {"iceServers": [None]},
            {"iceServers": ["stun:x"]},
            {"iceServers": [{}]},
            {"iceServers": [{"urls": None}]},
            {"iceServers": [], "iceTransportPolicy": "public"},
            {"iceServers": [], "iceTransportPolicy": None},
            {"iceServers": [], "iceCandidatePoolSize": None},
            {"iceServers": [], "iceCandidatePoolSize": -1},
            {"iceServers": [], "iceCandidatePoolSize": 256},
            {"iceServers": [], "lifetime": 0},
            {"iceServers": [], "lifetime": -1.5},
            {"iceServers": [], "lifetime": float("inf")},
            {"iceServers": [], "lifetime": float("nan")},
            {"iceServers": [], "expires": {}},
            {"iceServers": [], "standby": 1},
            {"iceServers": [], "standby": "true"},
            {"iceServers": [], "standby": None},
            {"iceServers": [], "relayVideo": 49},
            {"iceServers": [], "relayVideo": 100_001},
            {"iceServers": [], "relayVideo": "500"},
            {"iceServers": [], "relayVideo": True},
        ],
    )
    def test_that_is_none_is_refused(self, value: Any) -> None:
        with pytest.raises(IceError):
            ice_configuration_from_json(value)

    @pytest.mark.parametrize("field", ["iceCandidatePoolSize", "expires", "lifetime"])
    def test_with_text_for_a_number_is_refused(self, field: str) -> None:
        with pytest.raises(IceError):
            ice_configuration_from_json({"iceServers": [], field: "soon"})

    @pytest.mark.parametrize("field", ["expires", "lifetime"])
    def test_with_a_number_that_is_no_double_is_refused(self, field: str) -> None:
        with pytest.raises(IceError):
            ice_configuration_from_json({"iceServers": [], field: 10**400})

    def test_says_of_a_standby_only_that_there_is_to_be_one(self) -> None:
        assert "standby" not in IceConfiguration().to_json()
        assert IceConfiguration(standby=True).to_json()["standby"] is True

    def test_says_of_the_rate_over_a_relay_what_is_not_usual(self) -> None:
        assert "relayVideo" not in IceConfiguration().to_json()
        assert ice_configuration_from_json(IceConfiguration(relay_video=300).to_json()).relay_video == 300

    def test_says_where_relays_of_a_server_are_reached(self) -> None:
        server = IceServer((ONE_UDP,), relayed=("192.0.2.1",))
        assert ice_configuration_from_json(IceConfiguration((server,)).to_json()).servers == (server,)
        assert "relayed" not in IceServer((ONE_UDP,)).to_json()
        assert "relayed" not in IceConfiguration((server,)).to_rtc_configuration()["iceServers"][0]

    @pytest.mark.parametrize("relayed", [None, "192.0.2.1", 7, {}, [None], ["192.0.2.1", 7]])
    def test_passes_over_a_hint_that_is_none(self, relayed: Any) -> None:
        value = {"iceServers": [{"urls": ONE_UDP, "relayed": relayed}]}
        assert ice_configuration_from_json(value).servers == (IceServer((ONE_UDP,)),)

    def test_names_each_host_of_a_relay_once_in_the_order_of_preference(self) -> None:
        configuration = configured(STUN, ONE_UDP, ONE_TLS, TWO_UDP)
        assert configuration.relay_hosts == ("one.example", "two.example")
        assert configuration.preferring(frozenset({"one.example"})).relay_hosts == ("two.example", "one.example")

    @pytest.mark.parametrize(
        ("without", "left"),
        [
            (frozenset(), [ONE_TLS, TWO_TLS]),
            (frozenset({"one.example"}), [TWO_TLS]),
            (frozenset({"one.example", "two.example"}), [ONE_TLS, TWO_TLS]),
        ],
    )
    def test_over_tcp_alone_leaves_out_relays_that_went_silent_if_there_are_others(
        self, without: frozenset[str], left: list[str]
    ) -> None:
        configuration = configured(STUN, ONE_UDP, ONE_TLS, TWO_UDP, TWO_TLS).relay_only(over_tcp=True, without=without)
        assert [url for server in configuration.servers for url in server.urls] == left

    @pytest.mark.parametrize(
        ("host", "over_tcp", "left"),
        [
            ("one.example", False, [ONE_UDP]),
            ("one.example", True, [ONE_TLS]),
            ("two.example", True, [TWO_UDP]),
            ("three.example", False, []),
        ],
    )
    def test_at_one_relay_asks_for_as_few_allocations_as_will_do(
        self, host: str, over_tcp: bool, left: list[str]
    ) -> None:
        configuration = configured(STUN, ONE_UDP, ONE_TLS, TWO_UDP).preferring(frozenset({"two.example"}))
        configuration = configuration.relay_at(host, over_tcp=over_tcp)
        assert configuration.policy == "relay"
        assert [url for server in configuration.servers for url in server.urls] == left
        assert all(server.credential == "secret" for server in configuration.servers)

    def test_with_one_url_as_a_string_is_that_url(self) -> None:
        value = {"iceServers": [{"urls": "stun:s.example"}]}
        assert ice_configuration_from_json(value).servers == (IceServer(("stun:s.example",)),)

    def test_does_not_show_credentials_in_a_repr(self) -> None:
        assert "secret" not in repr(CONFIGURATIONS[2])

    def test_without_relays_asks_their_servers_for_addresses_over_udp(self) -> None:
        relays = IceServer(
            ("turn:a.example:3478", "turn:a.example:3478?transport=tcp", "turns:a.example:443"), "u", "c"
        )
        both = IceConfiguration((relays, IceServer(("stun:b.example",))), lifetime=60.0)
        assert both.relay_hosts
        assert not both.without_relays().relay_hosts
        assert both.without_relays() == replace(
            both, servers=(IceServer(("stun:a.example:3478", "stun:b.example:3478")),)
        )
        assert IceConfiguration((IceServer(("turns:a.example:443",), "u", "c"),)).without_relays().servers == ()

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            (TURN, "turn-eu"),
            ("stun:stun.example.org", "stun.example.org"),
            ("turn:elsewhere.example", "elsewhere.example"),
            ("turn:TURN.example.org:3478?transport=udp", "turn-eu"),
            ("turn:turn.example.org", "turn-eu"),
            ("turns:turn.example.org:443?transport=tcp", "turn-eu"),
            ("turn:turn.example.org:3478?transport=tcp", "turn.example.org"),
            ("", ""),
            ("what", "what"),
        ],
    )
    def test_names_the_server_of_a_url(self, url: str, name: str) -> None:
        assert CONFIGURATIONS[2].server_name(url) == name


class TestCandidate:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host generation 0 ufrag Ab+/ network-cost 999",
                CandidateLine("1", 1, "udp", 2122260223, "192.0.2.1", 50000, "host", username_fragment="Ab+/"),
            ),
            (
                "candidate:2 1 UDP 1 2001:db8::1 9 typ host",
                CandidateLine("2", 1, "udp", 1, "2001:db8::1", 9, "host"),
            ),
            (
                "candidate:3 1 udp 1 4a1b2c3d-0000-4000-8000-0123456789ab.local 5 typ host",
                CandidateLine("3", 1, "udp", 1, "4a1b2c3d-0000-4000-8000-0123456789ab.local", 5, "host"),
            ),
            (
                "candidate:4 1 TCP 1 192.0.2.1 9 typ host tcptype active",
                CandidateLine("4", 1, "tcp", 1, "192.0.2.1", 9, "host", tcp_type="active"),
            ),
            (
                "candidate:5 1 udp 1 198.51.100.7 40000 typ srflx raddr 192.168.1.2 rport 50000 generation 0",
                CandidateLine("5", 1, "udp", 1, "198.51.100.7", 40000, "srflx", "192.168.1.2", 50000),
            ),
            (
                "candidate:6 1 udp 1 203.0.113.9 49152 typ relay raddr 198.51.100.7 rport 40000",
                CandidateLine("6", 1, "udp", 1, "203.0.113.9", 49152, "relay", "198.51.100.7", 40000),
            ),
            ("7 2 udp 1 192.0.2.1 9 typ prflx", CandidateLine("7", 2, "udp", 1, "192.0.2.1", 9, "prflx")),
        ],
    )
    def test_is_taken_apart(self, text: str, expected: CandidateLine) -> None:
        assert parse_candidate(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "candidate:",
            "candidate:1 1 udp 1 192.0.2.1 9",
            "candidate:1 1 udp 1 192.0.2.1 9 typ",
            "candidate:1 1 udp 1 192.0.2.1 9 host typ",
            "candidate:1 one udp 1 192.0.2.1 9 typ host",
            "candidate:1 1 udp high 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 port typ host",
            "candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr 192.0.2.2 rport x",
            f"candidate:1 1 udp {10**400} 192.0.2.1 9 typ host",
            f"candidate:1 1 udp {2**32} 192.0.2.1 9 typ host",
            "candidate:1 257 udp 1 192.0.2.1 9 typ host",
            "candidate:1 1 udp -1 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1_0 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
            f"candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr 192.0.2.2 rport {10**400}",
        ],
    )
    def test_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(IceError, match="not a candidate"):
            parse_candidate(text)

    @given(st.text() | st.lists(st.sampled_from(["typ", "1", "udp", "host", "raddr", "rport", "x"])).map(" ".join))
    def test_any_text_is_a_candidate_or_refused(self, text: str) -> None:
        with contextlib.suppress(IceError):
            assert parse_candidate(text).type


class TestUsernameFragments:
    def test_are_those_of_every_section(self) -> None:
        text = "v=0\r\na=ice-ufrag:one\r\nm=audio\r\na=ice-ufrag:two+/\r\na=ice-pwd:secret\r\n"
        assert username_fragments(text) == {"one", "two+/"}

    def test_stand_at_the_beginning_of_a_line(self) -> None:
        assert username_fragments("v=0\ns=a=ice-ufrag:no\n") == frozenset()

    def test_of_nothing_are_none(self) -> None:
        assert username_fragments("") == frozenset()


class TestStaleCandidates:
    LINE = "a=candidate:1 1 udp 1677729535 203.0.113.1 {} typ srflx raddr 0.0.0.0 rport 0 generation 0{}\r\n"

    def test_are_those_of_an_offer_that_was_rolled_back(self) -> None:
        own, stale = self.LINE.format(2, " ufrag new network-id 1"), self.LINE.format(1, " ufrag old network-id 1")
        text = "v=0\r\na=ice-ufrag:new\r\n{}a=rtcp-mux\r\n"
        assert without_stale_candidates(text.format(stale + own)) == text.format(own)

    def test_are_none_that_name_no_generation(self) -> None:
        text = f"v=0\r\na=ice-ufrag:new\r\n{self.LINE.format(1, '')}"
        assert without_stale_candidates(text) == text
