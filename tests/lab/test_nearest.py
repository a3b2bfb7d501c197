"""Which TURN servers a page is given: the two nearest to its network, over lines with real delay."""

from __future__ import annotations

import json
import secrets
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from backend.ice.nearest import FEWEST
from pyapp.protocol.ice import parse_ice_url
from tests.lab import kinds, servers
from tests.lab.browser import Fleet, hang_up
from tests.lab.coturn import further_coturn
from tests.lab.delay import Delay
from tests.lab.sites import PUBLIC_ADDRESSES, TURN1, Site

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

    from tests.lab.conftest import Attach
    from tests.lab.lab import Lab
    from tests.lab.servers import Served
    from tests.lab.sites import Host

_ASK = """
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
sys.stdout.write(urllib.request.urlopen(sys.argv[1], context=context, timeout=20).read().decode())
"""
_PATIENCE = 40.0
"""Seconds for a measurement to reach the server."""


def _given(lab: Lab, host: Host, served: Served, query: str = "") -> list[str]:
    """Return the TURN servers that a page on `host` is given, in order."""
    answer = lab.network.run(host.node, [sys.executable, "-I", "-c", _ASK, f"{served.address}ice{query}"])
    urls = [url for server in json.loads(answer)["iceServers"] for url in server["urls"]]
    return list(dict.fromkeys(parse_ice_url(url).host for url in urls))


def _expect_given(lab: Lab, host: Host, served: Served, wanted: list[str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (given := _given(lab, host, served)) != wanted:
        assert time.monotonic() < deadline, f"{given}, not {wanted}"
        time.sleep(0.2)


def _expect_gathered(served: Served, session: str) -> None:
    """Wait until the page in `session` has told of all its candidates."""
    deadline = time.monotonic() + _PATIENCE
    while not any(
        entry["event"] == "candidate-local" and entry["data"].get("end") for entry in served.entries(session)
    ):
        assert time.monotonic() < deadline, "the end of gathering is not told of"
        time.sleep(0.1)


def test_a_page_gets_the_two_servers_nearest_to_its_network(lab: Lab, attach: Attach, playwright: Playwright) -> None:
    """One is 80 ms away from the console's server and from the others, but next to a page, and to another host."""
    far = attach(Site(name="nearest-far", kind=kinds.PUBLIC, hosts=3, delay=Delay(ms=40)))
    middle = attach(Site(name="nearest-middle", kind=kinds.PUBLIC, delay=Delay(ms=15)))
    elsewhere = attach(Site(name="nearest-elsewhere", kind=kinds.PORT_RESTRICTED)).hosts[0]
    in_far, page, beside_page = far.hosts
    near_turn = PUBLIC_ADDRESSES[TURN1].ipv4[0]
    middle_turn, far_turn = str(middle.hosts[0].ipv4), str(in_far.ipv4)
    secret = lab.turn1.secret
    config = lab.network.directory / "ice-nearest.toml"
    config.touch(0o600)
    with config.open("w") as file:
        for address in (middle_turn, far_turn, near_turn):
            urls = [f"turn:{address}:3478?transport={transport}" for transport in ("udp", "tcp")]
            file.write(f'[[server]]\nurls = {json.dumps(urls)}\nsecret = "{secret}"\n')
    with ExitStack() as stack:
        for host, address in ((middle.hosts[0], middle_turn), (in_far, far_turn)):
            stack.enter_context(further_coturn(lab.network, host.node, address, secret=secret, options=["--no-tls"]))
        served = stack.enter_context(servers.console(lab, config))
        _expect_given(lab, elsewhere, served, [near_turn, middle_turn])
        assert _given(lab, page, served) == [near_turn, middle_turn], "as the server finds: no page has measured"

        end = stack.enter_context(Fleet(playwright.chromium, lab)).end(page, served)
        for _ in range(FEWEST):  # by a page that waits for somebody: a direct path would end its gathering early
            end.begin(session := secrets.token_hex(4))
            end.connect()
            _expect_gathered(served, session)
            hang_up([end])
        _expect_given(lab, beside_page, served, [far_turn, near_turn])
        assert _given(lab, beside_page, served, f"?avoid={far_turn}") == [near_turn, middle_turn], "the spare"
        assert _given(lab, elsewhere, served) == [near_turn, middle_turn]
        assert end.take_problems() == []
