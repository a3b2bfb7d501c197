"""Which servers a caller gets: the policy "variety first"."""

import json
from pathlib import Path

import pytest

from backend.ice.choosing import ice_configuration, left_out, variety_first
from backend.ice.credentials import turn_credentials
from backend.ice.ice_servers import ConfiguredServer, read_ice_servers


def stun(*hosts: str) -> ConfiguredServer:
    return ConfiguredServer(urls=tuple(f"stun:{host}:3478" for host in hosts))


def turn(host: str, *transports: str, ttl: int = 600) -> ConfiguredServer:
    urls = {
        "udp": f"turn:{host}:3478?transport=udp",
        "tcp": f"turn:{host}:3478?transport=tcp",
        "tls": f"turns:{host}:443?transport=tcp",
    }
    return ConfiguredServer(
        name=host, urls=tuple(urls[item] for item in transports), secret="secret-of-" + host, ttl=ttl
    )


def chosen(*servers: ConfiguredServer) -> list[str]:
    short = []
    for server in variety_first(servers):
        for url in server.urls:
            scheme, host, port = url.split(":")
            kind = {"stun": "stun", "turns": "tls"}.get(scheme, port.rpartition("=")[2])
            short.append(f"{host} {kind}")
    return short


ALL = ("udp", "tcp", "tls")


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([], []),
        ([stun("a")], ["a stun"]),
        ([stun("a", "b"), stun("c", "d", "e")], ["a stun", "b stun", "c stun", "d stun"]),
        ([turn("t", *ALL)], ["t udp", "t tcp", "t tls"]),
        ([stun("a"), turn("t", *ALL)], ["a stun", "t udp", "t tcp", "t tls"]),
        ([stun("a", "b"), turn("t", *ALL)], ["a stun", "t udp", "t tcp", "t tls"]),
        ([stun("a", "b"), turn("t", "udp")], ["a stun", "b stun", "t udp"]),
        # Two TURN servers over UDP stand in for STUN: then either may die, and a network without UDP still has a relay.
        ([stun("a"), turn("t", *ALL), turn("u", *ALL)], ["t udp", "t tls", "u udp", "u tls"]),
        ([turn("t", *ALL), turn("u", *ALL)], ["t udp", "t tls", "u udp", "u tls"]),
        ([stun("a"), turn("t", "tcp", "udp"), turn("u", "udp", "tls")], ["t tcp", "t udp", "u udp", "u tls"]),
        ([stun("a"), turn("t", *ALL), turn("u", *ALL), turn("v", *ALL)], ["t udp", "t tls", "u udp", "u tls"]),
        ([stun("a", "b"), turn("t", "udp"), turn("u", "udp")], ["a stun", "b stun", "t udp", "u udp"]),
        ([stun("a"), turn("t", "udp"), turn("u", "udp", "tcp")], ["a stun", "t udp", "u udp", "u tcp"]),
        (
            [stun("a"), turn("t", "udp"), turn("u", "udp"), turn("v", "udp"), turn("w", "udp")],
            ["a stun", "t udp", "u udp", "v udp"],
        ),
        # One of them does not: its answer is not a second one, STUN stays.
        ([stun("a"), turn("t", "udp", "tcp"), turn("u", "tcp")], ["a stun", "t udp", "t tcp", "u tcp"]),
        ([stun("a"), turn("t", "tls"), turn("u", *ALL)], ["a stun", "t tls", "u udp", "u tls"]),
        ([turn("u", "udp"), stun("a"), turn("t", *ALL)], ["u udp", "a stun", "t udp", "t tls"]),
    ],
)
def test_variety_first(servers: list[ConfiguredServer], expected: list[str]) -> None:
    assert chosen(*servers) == expected


def test_two_urls_of_one_transport_come_after_one_of_each() -> None:
    server = ConfiguredServer(
        urls=("turn:t:3478", "turn:t:3479", "turn:t:3478?transport=tcp", "turns:t:443"), username="u", credential="c"
    )
    [kept] = variety_first([stun("a"), server])[1:]
    assert kept.urls == ("turn:t:3478", "turn:t:3478?transport=tcp", "turns:t:443")


def entries(*urls: str) -> list[ConfiguredServer]:
    """Each URL in an entry of its own, as providers answer."""
    return [ConfiguredServer(urls=(url,), username="u", credential="c") for url in urls]


CLOUDFLARE = (
    "stun:stun.cloudflare.com:3478",
    "turn:turn.cloudflare.com:3478?transport=udp",
    "turn:turn.cloudflare.com:3478?transport=tcp",
    "turns:turn.cloudflare.com:5349?transport=tcp",
    "turn:turn.cloudflare.com:80?transport=tcp",
    "turns:turn.cloudflare.com:443?transport=tcp",
)
METERED = (
    "stun:stun.relay.metered.ca:80",
    "turn:global.relay.metered.ca:80",
    "turn:global.relay.metered.ca:80?transport=tcp",
    "turn:global.relay.metered.ca:443",
    "turns:global.relay.metered.ca:443?transport=tcp",
)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (CLOUDFLARE, {CLOUDFLARE[number] for number in (0, 1, 4, 5)}),
        (METERED, {METERED[number] for number in (0, 1, 2, 4)}),
    ],
)
def test_the_lists_of_providers_keep_the_way_out_of_company_networks(
    urls: tuple[str, ...], expected: set[str], alone: bool
) -> None:
    together = [
        ConfiguredServer(urls=urls[:1]),
        ConfiguredServer(urls=urls[1:], username="u", credential="c"),
    ]
    servers = entries(*urls) if alone else together
    assert {url for server in variety_first(servers) for url in server.urls} == expected
    assert {one.url for one in left_out(servers)} == set(urls) - expected


# As Cloudflare answered before: port 53 as well, and all in one entry.
CLOUDFLARE_BEFORE = {
    "urls": [
        "stun:stun.cloudflare.com:3478",
        "stun:stun.cloudflare.com:53",
        "turn:turn.cloudflare.com:3478?transport=udp",
        "turn:turn.cloudflare.com:53?transport=udp",
        "turn:turn.cloudflare.com:3478?transport=tcp",
        "turn:turn.cloudflare.com:80?transport=tcp",
        "turns:turn.cloudflare.com:5349?transport=tcp",
        "turns:turn.cloudflare.com:443?transport=tcp",
    ],
    "username": "u",
    "credential": "c",
}


def test_the_earlier_list_of_cloudflare_with_all_in_one_entry_and_port_53(tmp_path: Path) -> None:
    path = tmp_path / "ice.json"
    path.write_text(json.dumps({"iceServers": CLOUDFLARE_BEFORE}), encoding="utf-8")
    ice = read_ice_servers(path)
    assert [url for server in variety_first(ice.servers) for url in server.urls] == [
        "stun:stun.cloudflare.com:3478",
        "turn:turn.cloudflare.com:3478?transport=udp",
        "turn:turn.cloudflare.com:80?transport=tcp",
        "turns:turn.cloudflare.com:443?transport=tcp",
    ]
    assert [one.url for one in ice.left_out] == [
        "stun:stun.cloudflare.com:53",
        "turn:turn.cloudflare.com:53?transport=udp",
    ]
    assert all(one.why.startswith("browsers refuse port 53") for one in ice.left_out)
    why = {one.url: one.why for one in left_out(ice.servers)}
    assert "turns:turn.cloudflare.com:443" in why["turns:turn.cloudflare.com:5349?transport=tcp"]
    assert "turn:turn.cloudflare.com:80" in why["turn:turn.cloudflare.com:3478?transport=tcp"]


def test_what_is_one_too_many_is_said_to_be() -> None:
    [one] = left_out([turn("t", "udp", "tls"), turn("u", "udp", "tls"), turn("v", "udp")])
    assert one.url == "turn:v:3478?transport=udp"
    assert one.why.startswith("4 are enough")


def test_the_spare_over_udp_is_on_443() -> None:
    urls = ("turn:t:3478", "turn:t:3479", "turn:t:443", "turn:t:3480", "turn:t:3481")
    kept = [server.urls[0] for server in variety_first(entries(*urls))]
    assert kept == ["turn:t:3478", "turn:t:3479", "turn:t:443", "turn:t:3480"]
    assert [server.urls[0] for server in variety_first(entries("stun:a", "stun:b", "turns:t", *urls))] == [
        "stun:a",
        "turns:t",
        "turn:t:3478",
        "turn:t:443",
    ]


def test_credentials_and_expiry() -> None:
    fixed = ConfiguredServer(urls=("turn:f:3478",), username="user", credential="word")
    configuration = ice_configuration(
        [stun("a"), turn("t", "udp", ttl=600), turn("u", "udp", ttl=60), fixed], name="demo", now=1000.75
    )
    by_host = {server.urls[0].split(":")[1]: server for server in configuration.servers}
    assert by_host["a"].username == ""
    assert by_host["t"].username == "1600:demo"
    assert by_host["t"].credential == turn_credentials("secret-of-t", name="demo", expires=1600).credential
    assert by_host["u"].username == "1060:demo"
    assert (by_host["f"].username, by_host["f"].credential) == ("user", "word")
    assert configuration.expires == 1060.0
    assert configuration.lifetime == 59.25
    assert configuration.pool_size == 0


def test_what_does_not_expire_has_no_expiry() -> None:
    configuration = ice_configuration([stun("a")], name="demo", now=1.0)
    assert configuration.expires is None
    assert configuration.lifetime is None


def test_no_shared_secret_leaves_the_server() -> None:
    body = ice_configuration([turn("t", *ALL)], name="demo", now=1.0).to_json()
    assert "secret-of-t" not in str(body)
    assert body["iceServers"][0]["name"] == "t"
