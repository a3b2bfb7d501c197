"""The check of the network says of every fault what it is, and who must act; all servers and networks are real."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import expect

from tests.lab import kinds, servers
from tests.lab.browser import FLAGS, Fleet, hang_up
from tests.lab.coturn import further_coturn
from tests.lab.delay import Delay
from tests.lab.sites import NAMES, PUBLIC_ADDRESSES, SERVER, STUN, TURN1, TURN2, Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.lab.browser import End
    from tests.lab.coturn import Coturn
    from tests.lab.lab import Lab
    from tests.lab.servers import Served
    from tests.lab.sites import Place

_PATIENCE = 60_000
"""Milliseconds for a check, which ends by itself after 12 s of a page's time."""


@pytest.fixture(scope="module", autouse=True)
def counted_anew(lab: Lab) -> None:
    """Start the TURN servers anew: relays that other tests have left to expire are not those of a check."""
    for server in (lab.turn1, lab.turn2):
        server.kill()
        server.start()
        server.wait()


@pytest.fixture(scope="module")
def served(lab: Lab, config: Path) -> Iterator[Served]:
    with servers.console(lab, config) as standing:
        yield standing


def _begin(end: End) -> None:
    end.page.locator("#check").click()


def _begin_again(end: End) -> None:
    end.page.locator("#check-again").click()
    expect(end.page.locator("#check-panel")).to_have_attribute("data-check", "running")


def _lacking(expected: Sequence[str], advice: Sequence[str]) -> list[str]:
    """Return what the operator was not told."""
    return [
        words for words in expected if not any(one.startswith(f"Whoever runs this console {words}") for one in advice)
    ]


def _outcome(end: End) -> tuple[str, list[str]]:
    """Return the sentence at the end, and who must do what."""
    panel = end.page.locator("#check-panel")
    expect(panel).to_have_attribute("data-check", "done", timeout=_PATIENCE)
    sentence = end.page.locator("#check-sentence").inner_text()
    advice = [" ".join(text.split()) for text in end.page.locator("#check-advice > li").all_inner_texts()]
    return sentence, advice


def _fact(end: End, label: str) -> str:
    return end.page.locator(f"#check-facts dt:text-is('{label}') + dd").inner_text()


def test_each_network_is_known_by_what_it_blocks(lab: Lab, served: Served, playwright: Playwright) -> None:
    networks = (kinds.UDP_BLOCKED, kinds.TCP_443_ONLY, kinds.SYMMETRIC, kinds.V6_ONLY)
    with contextlib.ExitStack() as stack:
        ends: dict[str, End] = {}
        fleet = stack.enter_context(Fleet(playwright.chromium, lab))
        for kind in networks:
            place = lab.attach(Site(name=f"check-{kind.name}", kind=kind))
            stack.callback(lab.detach, place)
            ends[kind.name] = fleet.end(place.hosts[0], served)
        for end in ends.values():
            _begin(end)
        found = {name: _outcome(end) for name, end in ends.items()}

        over_tls = "Your network blocks UDP. It will work, over TLS, with more delay."
        opened = (
            "Your network's administrator Open UDP 3478 to stun.lab, UDP 3478 to turn1.lab and UDP 3478 to turn2.lab."
        )
        assert found["udp-blocked"] == (over_tls, [opened])
        sentence, advice = found["tcp-443-only"]
        assert sentence == over_tls
        assert advice[0] == opened
        later = "Other ways to it work, so this can wait."
        assert advice[1:] == [
            f"Your network's administrator Open TCP 3478 to {n}.lab. {later}" for n in ("turn1", "turn2")
        ]
        sentence, advice = found["symmetric"]
        assert sentence.startswith("It will work, mostly through a relay"), found
        assert [one.split(" Nothing")[0] for one in advice] == ["Your network's administrator"]
        assert _fact(ends["symmetric"], "NAT") == "another port for each destination (symmetric)"
        assert found["v6-only"][0].startswith("Everything works from here"), found
        six = ends["v6-only"]
        assert (_fact(six, "IPv4 over UDP"), _fact(six, "IPv6 over UDP")) == ("not seen", "works")
        rows = six.page.locator("#check-servers li").all_inner_texts()
        assert all("RTT" in row for row in rows if "STUN" not in row), rows
        assert sum("Mbit/s" in row for row in rows) == 2, rows
        assert sum("ICE\N{NO-BREAK SPACE}restart" in row for row in rows) == 1, rows
        for end in ends.values():
            assert end.take_problems() == []
        for server in (lab.turn1, lab.turn2):
            _expect_none_held(server)


def _expect_none_held(server: Coturn) -> None:
    deadline = time.monotonic() + 30
    while server.allocations().held:
        assert time.monotonic() < deadline, "a check has left relays behind"
        time.sleep(0.01)


def test_each_fault_of_a_server_is_named_and_whoever_must_act(lab: Lab, playwright: Playwright) -> None:
    """Real coturns in one configuration, each with a fault of its own."""
    folder = lab.network.directory
    turn1, turn2 = NAMES[TURN1], NAMES[TURN2]
    name, password = lab.turn2.credentials("old", expires=int(time.time()) - 600)
    secret = lab.turn1.secret
    listed: list[dict[str, object]] = [
        {"urls": [f"stun:{NAMES[STUN]}:3478", "stun:192.0.2.21:4444"]},
        {"urls": [f"turn:{turn1}:3478?transport=udp", f"turn:{turn1}:3478?transport=tcp"], "secret": secret},
        {"urls": [f"turns:{turn1}:8443?transport=tcp"], "secret": secret},
        {"urls": [f"turn:{turn2}:3478?transport=udp"], "secret": "another"},
        {"urls": [f"turn:{turn2}:3478?transport=tcp"], "username": name, "credential": password},
        {"urls": [f"turn:{turn1}:8501?transport=udp"], "secret": secret},
        {"urls": [f"turn:{turn1}:8502?transport=udp"], "secret": secret},
        {"urls": [f"turn:{turn1}:8503?transport=udp"], "secret": secret},
        {"urls": ["turn:nowhere.lab:3478?transport=udp"], "secret": secret},
    ]
    path = folder / "ice-faults.toml"
    path.touch(0o600)
    path.write_text("checks = false\n" + "".join(_table(one) for one in listed))
    with contextlib.ExitStack() as stack:
        foreign = _foreign_certificate(folder)
        address = PUBLIC_ADDRESSES[TURN1].ipv4[0]
        for options in (
            ["--listening-port=8500", "--tls-listening-port=8443", f"--cert={foreign[0]}", f"--pkey={foreign[1]}"],
            ["--listening-port=8501", "--no-tls", "--user-quota=1"],
            ["--listening-port=8502", "--no-tls", "--min-port=50000", "--max-port=50000"],
            ["--listening-port=8503", "--no-tls", f"--denied-peer-ip={address}"],
        ):
            stack.enter_context(further_coturn(lab.network, TURN1, address, secret=secret, options=options))
        place = lab.attach(Site(name="check-faults", kind=kinds.PORT_RESTRICTED))
        stack.callback(lab.detach, place)
        served = stack.enter_context(servers.console(lab, path, port=8444))
        fleet = stack.enter_context(Fleet(playwright.chromium, lab, flags=_trusting(lab.certificates.certificate)))
        end = fleet.end(place.hosts[0], served)
        _begin(end)
        expected = (
            "The STUN server 192.0.2.21 does not answer.",
            f"Browsers accept no TLS of {turn1} (TCP 8443 to {turn1}).",
            f"{turn2} refuses the user name or password (401).",
            f"The credentials for {turn2} have expired (401).",
            f"{turn1} has reached its limit of connections (486).",
            f"{turn1} has no ports left for relays (508).",
            f"Two connections of this page did not meet through {turn1} (UDP 8503 to {turn1}).",
            "Nobody knows the name nowhere.lab.",
        )
        sentence, advice = _outcome(end)
        for _ in range(2):  # on a busy machine a server's time may run out before the browser has said why it failed
            if not _lacking(expected, advice):
                break
            _begin_again(end)
            sentence, advice = _outcome(end)
        assert sentence == "It will work from here, but not every server does.", advice
        assert _lacking(expected, advice) == [], advice
        assert len(advice) == len(expected), advice

        lab.turn1.kill()  # the others on that host keep running
        stack.callback(lab.turn1.wait)
        stack.callback(lab.turn1.start)
        _begin_again(end)
        sentence, advice = _outcome(end)
        killed = f"Whoever runs this console {turn1} answers, but not on UDP 3478 to {turn1}."
        assert any(one.startswith(killed) for one in advice), advice
        assert end.take_problems() == []


_HIDDEN = "hidden.lab"
"""A name that the console's own server can resolve, and no browser of the lab."""

_RELAYED = "You are connected through a relay at the moment."


def test_a_session_s_path_is_foretold_and_a_network_is_known_by_all_that_it_may_block(
    lab: Lab, playwright: Playwright
) -> None:
    """One page checks in a session and after it, while its network changes."""
    with contextlib.ExitStack() as stack:
        path = _configured_for_changes(lab, stack)
        here = lab.attach(Site(name="check-here", kind=kinds.DUAL_STACK, delay=Delay()))
        stack.callback(lab.detach, here)
        there = lab.attach(Site(name="check-there", kind=kinds.PORT_RESTRICTED))
        stack.callback(lab.detach, there)
        served = stack.enter_context(servers.console(lab, path, port=8445))
        fleet = stack.enter_context(Fleet(playwright.chromium, lab, flags=_trusting(lab.certificates.certificate)))
        _block(lab, here, "meta l4proto udp drop")
        end, other = (fleet.end(place.hosts[0], served) for place in (here, there))
        _meet("checked", end, other)

        _check_relayed(end, other)
        _block(lab, here)
        _check_opened(end, other)
        hang_up([end, other])
        for server in (lab.turn1, lab.turn2):
            _expect_none_held(server)
        assert _unexpected_problems(end) == _unexpected_problems(other) == []
        fleet.close(there.hosts[0].node)
        _expect_all_seen(end)

        _stop_far_away(lab, here, end)
        _check_inspected(lab, here, end)
        _check_cut(lab, here, end)
        for server in (lab.turn1, lab.turn2):
            _expect_none_held(server)
        assert _unexpected_problems(end) == []


def test_a_relay_is_foretold_where_ports_change_and_where_nothing_else_is_allowed(
    lab: Lab, served: Served, playwright: Playwright
) -> None:
    another_port = "network gives each destination another port."
    with contextlib.ExitStack() as stack:
        fleet = stack.enter_context(Fleet(playwright.chromium, lab))
        ends: list[End] = []
        for name, kind in (("one", kinds.SYMMETRIC), ("other", kinds.SYMMETRIC), ("cone", kinds.PORT_RESTRICTED)):
            place = lab.attach(Site(name=f"check-{name}", kind=kind))
            stack.callback(lab.detach, place)
            ends.append(fleet.end(place.hosts[0], served))
        one, other, cone = ends

        _meet("symmetric", one, other)
        both = "You will need a relay, because both networks give each destination another port."
        assert _foretold(one, other) == [f"{_RELAYED} {both}"] * 2
        hang_up([one, other])

        _meet("half-symmetric", one, cone)
        here, there = (
            f"{_RELAYED} You may need a relay, because {which} {another_port}" for which in ("your", "the other")
        )
        assert _foretold(one, cone) == [here, there]
        hang_up([cone])

        cone.page.goto(f"{cone.address}?session=half-symmetric&policy=relay&autoconnect")
        cone.expect_state("connected")
        only = "You will need a relay, because this page was told to use relays only."
        assert _foretold(cone) == [f"{_RELAYED} {only}"]
        hang_up([one, cone])
        for end in ends:
            assert _unexpected_problems(end) == []
        for server in (lab.turn1, lab.turn2):
            _expect_none_held(server)


def _meet(session: str, *ends: End) -> None:
    for end in ends:
        end.begin(session)
        end.connect()
    for end in ends:
        end.expect_state("connected")


def _foretold(*ends: End) -> list[str]:
    """Check at all ends at once, and return what each says of the path to the other."""
    for end in ends:
        _begin(end)
    for end in ends:
        _outcome(end)
    found = [_forecast(end) for end in ends]
    for end in ends:
        end.page.keyboard.press("Escape")
    return found


def _unexpected_problems(end: End) -> list[str]:
    """Take what the browser complained of, but for a WebSocket that was being opened when its check or page ended."""
    stopped = "WebSocket is closed before the connection is established"
    return [problem for problem in end.take_problems() if stopped not in problem]


def _check_relayed(end: End, other: End) -> None:
    """Check where UDP is dropped: stopped in its middle, and begun again at once. Meanwhile the session goes on."""
    _begin(end)
    expect(end.page.locator("#check-servers > li[data-state='good']").first).to_be_visible(timeout=_PATIENCE)
    end.page.locator("#check-stop").click()
    expect(end.page.locator("#check-panel")).to_have_attribute("data-check", "stopped")
    _begin_again(end)
    other.say("meanwhile")
    end.expect_message("meanwhile")
    _begin(other)
    sentence, _ = _outcome(end)
    assert sentence == "Your network blocks UDP. It will work, over TLS, with more delay."
    assert _forecast(end) == f"{_RELAYED} You will need a relay, because your network blocks UDP."
    _outcome(other)
    no_address = "because the other side has named no address that UDP could reach."
    assert _forecast(other) == f"{_RELAYED} You will need a relay, {no_address}"


def _check_opened(end: End, other: End) -> None:
    """Check once UDP gets out: a restart makes true what is foretold."""
    _begin_again(end)
    _outcome(end)
    possible = "A direct connection to the other side will be possible, because UDP gets through to both of you."
    assert _forecast(end) == f"{_RELAYED} {possible}"
    for one in (end, other):
        one.page.keyboard.press("Escape")
        assert one.ask("states")[0] == "connected", "the session's first connection is still in use"
    end.say("all the time")
    other.expect_message("all the time")
    end.page.locator("#restart-ice").click()
    expect(end.page.locator("body")).to_have_attribute("data-path", "direct", timeout=_PATIENCE)


def _stop_far_away(lab: Lab, place: Place, end: End) -> None:
    """Stop a check while relays are on their way to it: over this line an answer takes longer than the click."""
    lab.network.shape(place, Delay(ms=400))
    before = lab.turn1.allocations().made
    _begin(end)
    deadline = time.monotonic() + 30
    while lab.turn1.allocations().made == before:
        assert time.monotonic() < deadline, "the check has asked for no relay"
        time.sleep(0.01)
    end.page.locator("#check-stop").click()
    expect(end.page.locator("#check-panel")).to_have_attribute("data-check", "stopped")
    for server in (lab.turn1, lab.turn2):
        _expect_none_held(server)
    lab.network.shape(place, Delay())
    end.page.keyboard.press("Escape")


def _check_inspected(lab: Lab, place: Place, end: End) -> None:
    """Check where UDP is dropped, and something else than the TURN server answers for it over TLS."""
    turn = PUBLIC_ADDRESSES[TURN1]
    refused = f"ip6 daddr {turn.ipv6[0]} tcp dport 443 reject with tcp reset"
    turned = f"ip daddr {turn.ipv4[0]} tcp dport 443 dnat ip to {turn.ipv4[0]}:8506"
    _block(lab, place, "meta l4proto udp drop", refused, turned=turned)
    _begin(end)
    sentence, advice = _outcome(end)
    assert sentence == "Your network blocks UDP. It will work, over TCP, with more delay.", advice
    inspected = f"TLS to {NAMES[TURN1]} is fine elsewhere, but not here. Exempt TCP 443 to {NAMES[TURN1]} from"
    assert any(inspected in one for one in advice), advice
    unknown = f"Your network's administrator The DNS of your network does not know {_HIDDEN}, though others do."
    assert any(one.startswith(unknown) for one in advice), advice


def _check_cut(lab: Lab, place: Place, end: End) -> None:
    """Check without IPv4, then without all that relays, then without anything but the console."""
    literal, console = PUBLIC_ADDRESSES[TURN2].ipv4[0], PUBLIC_ADDRESSES[SERVER].ipv4[0]
    _block(lab, place, f"ip saddr != {console} ip daddr != {console} drop")
    _begin_again(end)
    sentence, advice = _outcome(end)
    assert sentence == "It will work from here, but not every server does.", advice
    needs = f"{literal} is configured by an IPv4 address, and this network has IPv6 alone. Give it an IPv6 one."
    assert f"Whoever runs this console {needs}" in advice

    _block(lab, place, *_dropping(TURN1, TURN2))
    _begin_again(end)
    sentence, advice = _outcome(end)
    assert sentence.startswith("No relay can be used from here"), advice
    for name in (NAMES[TURN1], NAMES[TURN2], literal):
        assert any(f"{name} works, but cannot be reached from here. Open " in one for one in advice), advice

    _block(lab, place, *_dropping(STUN, TURN1, TURN2))
    _begin_again(end)
    sentence, advice = _outcome(end)
    assert sentence == "It will not work from here: no server can be reached.", advice
    blocked = "Your network's administrator The servers work, but nothing reaches them from here. Open "
    assert any(one.startswith(blocked) for one in advice), advice


def _configured_for_changes(lab: Lab, stack: contextlib.ExitStack) -> Path:
    """Write a configuration whose servers all work, for whoever is let through to them; start what inspects TLS."""
    folder, secret = lab.network.directory, lab.turn1.secret
    name1, name2, address = NAMES[TURN1], NAMES[TURN2], PUBLIC_ADDRESSES[TURN2].ipv4[0]
    names = folder / "servers.hosts"
    before = names.read_text()
    stack.callback(names.write_text, before)
    names.write_text(f"{before}{address} {_HIDDEN}\n")
    listed: list[dict[str, object]] = [
        {"urls": [f"stun:{NAMES[STUN]}:3478"]},
        {"urls": [f"turn:{name1}:3478?transport=udp", f"turn:{name1}:3478?transport=tcp"], "secret": secret},
        {"urls": [f"turns:{name1}:443?transport=tcp"], "secret": secret},
        {"urls": [f"turn:{name2}:3478?transport=udp"], "secret": secret},
        {"urls": [f"turn:{address}:3478?transport=udp", f"turn:{_HIDDEN}:3478?transport=udp"], "secret": secret},
    ]
    path = folder / "ice-changes.toml"
    path.touch(0o600)
    path.write_text("".join(map(_table, listed)))
    certificate, key = _foreign_certificate(folder)
    options = ["--listening-port=8505", "--tls-listening-port=8506", f"--cert={certificate}", f"--pkey={key}"]
    stack.enter_context(
        further_coturn(lab.network, TURN1, PUBLIC_ADDRESSES[TURN1].ipv4[0], secret=secret, options=options)
    )
    return path


def _block(lab: Lab, place: Place, *rules: str, turned: str = "") -> None:
    """Let a site's router drop what these rules of nftables say, beside what it does; `turned` leads elsewhere."""
    lines = "\n".join(rules)
    file = lab.network.directory / "block.nft"
    file.write_text(f"""
        table inet block {{}}
        delete table inet block
        table inet block {{
            chain forward {{ type filter hook forward priority filter - 10; policy accept; {lines}
            }}
            chain turned {{ type nat hook prerouting priority dstnat; policy accept; {turned}
            }}
        }}
    """)
    lab.network.run(place.router, ["nft", "-f", file])


def _dropping(*nodes: str) -> Iterator[str]:
    for node in nodes:
        addresses = PUBLIC_ADDRESSES[node]
        yield f"ip daddr {{ {', '.join(addresses.ipv4)} }} drop"
        yield f"ip6 daddr {{ {', '.join(addresses.ipv6)} }} drop"


def _expect_all_seen(end: End) -> None:
    """Wait until the console's own server has asked every URL, and found all of them well."""
    deadline = time.monotonic() + 30
    while True:
        asked = end.page.evaluate("fetch('ice?check').then((response) => response.json())")
        urls = [url for server in asked["iceServers"] for url in server["urls"]]
        if [asked["seen"].get(url) for url in urls] == [""] * len(urls):
            return
        assert time.monotonic() < deadline, asked["seen"]
        time.sleep(0.05)


def _forecast(end: End) -> str:
    return end.page.locator("#check-forecast").inner_text()


def _table(server: dict[str, object]) -> str:
    lines = (f"{key} = {json.dumps(value)}" for key, value in server.items())
    return "\n[[server]]\n" + "\n".join(lines) + "\n"


def _foreign_certificate(folder: Path) -> tuple[Path, Path]:
    """Issue a certificate that the browser does not trust."""
    issued = trustme.CA().issue_cert(PUBLIC_ADDRESSES[TURN1].ipv4[0])
    certificate, key = folder / "foreign.pem", folder / "foreign-key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    key.touch(0o600)
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


def _trusting(certificate: Path) -> tuple[str, ...]:
    """Return flags with which a browser trusts this certificate, and no other of the lab's."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    pinned = f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}"
    return (*(flag for flag in FLAGS if flag != "--ignore-certificate-errors"), pinned)
