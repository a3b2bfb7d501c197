"""What findings mean: a rule, a case. Each case is all that was found."""

from dataclasses import dataclass, field

import pytest

from pyapp.core.check.findings import Cause, Findings, GatheringError, TheirFacts, UrlFinding
from pyapp.core.check.report import report
from pyapp.core.check.verdict import judge
from pyapp.core.events import Obstacle
from pyapp.core.failures import Refusal
from pyapp.protocol.ice import parse_ice_url
from pyapp.view.check import advice, sentence_of

STUN = "stun:stun.example:3478"
UDP, TLS = "turn:one.example:3478?transport=udp", "turns:one.example:443?transport=tcp"
TCP, TCP443 = "turn:one.example:3478?transport=tcp", "turn:one.example:443?transport=tcp"
UDP2, TLS2 = "turn:two.example:3478?transport=udp", "turns:two.example:443?transport=tcp"
HERE, HERE_TLS = "turn:127.0.0.1:3478?transport=udp", "turns:127.0.0.1:5349?transport=tcp"
V4 = "turn:192.0.2.1:3478?transport=udp"


def well(url: str, **more: object) -> UrlFinding:
    found = UrlFinding(url, parse_ice_url(url), answered=0.05)
    if found.url.is_turn:
        found.is_loop_open = True
    for name, value in more.items():
        setattr(found, name, value)
    return found


def bad(url: str, cause: Cause = "no-answer", *codes: int, username: str = "") -> UrlFinding:
    found = UrlFinding(url, parse_ice_url(url), username=username, cause=cause)
    found.errors = [GatheringError(code, "", "", 0.1) for code in codes]
    return found


@dataclass(frozen=True)
class Case:
    name: str
    urls: list[UrlFinding]
    rule: str
    level: str
    problems: list[tuple[str, str]]
    sentence: str = ""
    advice: str = ""
    found: dict[str, object] = field(default_factory=dict)


CASES = [
    Case("all is well", [well(STUN), well(UDP), well(TLS)], "works", "good", [], "Everything works from here"),
    Case(
        "UDP is blocked",
        [bad(STUN), bad(UDP), well(TLS)],
        *("over-tls", "fair", [("udp-blocked", "network")]),
        "Your network blocks UDP. It will work, over TLS, with more delay.",
        "Open UDP 3478 to stun.example and UDP 3478 to one.example.",
    ),
    Case(
        "only TLS on 443 gets out",
        [bad(UDP), bad(TCP), bad(TCP443, "closed", 701), well(TLS)],
        *("over-tls", "fair"),
        [("udp-blocked", "network"), ("transport-blocked", "network"), ("transport-blocked", "network")],
        advice="Open TCP 3478 to one.example. Other ways to it work, so this can wait.",
    ),
    Case(
        "UDP and TLS are blocked",
        [bad(UDP), well(TCP), bad(TLS)],
        *("over-tcp", "fair", [("udp-blocked", "network"), ("transport-blocked", "network")]),
        "Your network blocks UDP. It will work, over TCP, with more delay.",
    ),
    Case(
        "one of two TURN servers is dead",
        [well(STUN), bad(UDP), bad(TLS, "closed", 701), well(UDP2), well(TLS2)],
        *("works-mostly", "fair", [("host-down", "operator")]),
        "It will work from here, but not every server does.",
        "one.example does not answer. Start it, or let this through to it: UDP 3478 to one.example and TCP 443",
    ),
    Case(
        "one of two TURN servers is out of reach from here alone",
        [well(STUN), bad(UDP), bad(TLS), well(UDP2)],
        *("works-mostly", "fair", [("host-blocked", "network")]),
        found={"seen": {UDP: "", TLS: "", UDP2: ""}},
    ),
    Case(
        "the only TURN server is dead",
        [well(STUN), bad(UDP), bad(TLS, "closed", 701)],
        *("direct-only", "bad", [("host-down", "operator")]),
        "No relay can be used from here",
    ),
    Case("STUN is dead", [bad(STUN), well(UDP)], "works-mostly", "fair", [("stun-down", "operator")]),
    Case(
        "STUN is dead, and TURN is over TCP alone",
        [bad(STUN), well(TCP)],
        *("over-tcp", "fair", [("stun-down", "operator")]),
        "No server answers over UDP. It will work, over TCP, with more delay.",
        found={"seen": {STUN: "no answer", TCP: ""}},
    ),
    Case(
        "the secret is wrong",
        [well(STUN), bad(UDP, "credentials", 701, 401, username="1900000000:x")],
        *("direct-only", "bad", [("credentials-refused", "operator")]),
        advice="one.example refuses the user name or password (401). Compare the secret",
    ),
    Case(
        "a phone number that is refused",
        [bad(UDP, "credentials", 401, username="1512345678")],
        *("direct-only", "bad", [("credentials-refused", "operator")]),
    ),
    Case(
        "the credentials have expired",
        [bad(UDP, "credentials", 401, username="1500000000:x")],
        *("direct-only", "bad", [("credentials-expired", "operator")]),
        advice="The credentials for one.example have expired (401).",
    ),
    Case("a quota", [bad(UDP, "quota", 486)], "direct-only", "bad", [("quota-reached", "operator")]),
    Case(
        "a quota that is one too low",
        [well(UDP, is_loop_open=False, loop_errors=[GatheringError(486, "", "", 0.1)])],
        *("works-mostly", "fair", [("quota-reached", "operator")]),
    ),
    Case("no ports", [bad(UDP, "capacity", 508)], "direct-only", "bad", [("no-capacity", "operator")]),
    Case(
        "a relay that passes nothing on to itself",
        [well(UDP, is_loop_open=False)],
        *("works", "good", [("relays-nothing", "operator")]),
    ),
    Case(
        "a wrong certificate",
        [well(UDP), well(TCP), bad(TLS, "closed", 701)],
        *("works-mostly", "fair", [("certificate", "operator")]),
        advice="Browsers accept no TLS of one.example (TCP 443 to one.example).",
    ),
    Case(
        "a wrong certificate, as the console's server sees, too",
        [well(UDP), bad(TLS, "closed", 701)],
        *("works-mostly", "fair", [("certificate", "operator")]),
        found={"seen": {TLS: "its certificate is not valid for its name, or not trusted here"}},
    ),
    Case(
        "TLS that is ended on the way",
        [well(UDP), well(TCP443), bad(TLS, "closed", 701)],
        *("works-mostly", "fair", [("tls-inspected", "network")]),
        found={"seen": {TLS: ""}},
    ),
    Case(
        "TLS that is not served",
        [well(UDP), bad(TLS, "closed", 701), well(TLS2)],
        *("works-mostly", "fair", [("transport-down", "operator")]),
        advice="one.example answers, but not on TCP 443 to one.example.",
    ),
    Case(
        "a name that nobody knows",
        [bad(UDP, "dns", 701), well(UDP2)],
        *("works-mostly", "fair", [("name-unknown", "operator")]),
    ),
    Case(
        "a name that is not known here",
        [bad(UDP, "dns", 701), well(UDP2)],
        *("works-mostly", "fair", [("name-unknown-here", "network")]),
        found={"seen": {UDP: ""}},
    ),
    Case(
        "IPv6 alone, and a server by its IPv4 address",
        [well(STUN), bad(V4), well(UDP2)],
        *("works-mostly", "fair", [("needs-ipv6", "operator")]),
        found={"families": {6}},
    ),
    Case(
        "a symmetric NAT",
        [well(STUN), well(UDP)],
        *("relay-mostly", "fair", [("symmetric", "network")]),
        "It will work, mostly through a relay",
        found={"mapping": "dependent"},
    ),
    Case("no TURN server", [well(STUN)], "direct-without-relays", "fair", [("no-relay-configured", "operator")]),
    Case("no server at all", [], "nothing-works", "bad", [("no-relay-configured", "operator")]),
    Case(
        "nothing answers, and nobody knows why",
        [bad(STUN), bad(UDP), bad(TLS)],
        *("nothing-works", "bad", [("nothing-answers", "you")]),
        advice="Try another network",
    ),
    Case(
        "nothing answers here alone",
        [bad(UDP), bad(TLS)],
        *("nothing-works", "bad", [("nothing-answers", "network")]),
        found={"seen": {UDP: "", TLS: ""}},
    ),
    Case(
        "nothing answers anywhere",
        [bad(UDP), bad(TLS)],
        *("nothing-works", "bad", [("nothing-answers", "operator")]),
        found={"seen": {UDP: "no answer", TLS: "no answer"}},
    ),
    Case(
        "nothing answers, and the browser does not even ask at one of them",
        [bad(UDP, "refused-by-browser"), bad(UDP2), bad(TLS2, "closed", 701)],
        *("nothing-works", "bad", [("url-unusable", "operator"), ("nothing-answers", "you")]),
    ),
    Case(
        "nothing answers, and one name is not known",
        [bad(UDP, "dns", 701), bad(UDP2), bad(TLS2)],
        *("nothing-works", "bad", [("name-unknown-here", "network"), ("nothing-answers", "network")]),
        found={"seen": {UDP: "", UDP2: "", TLS2: ""}},
    ),
    Case(
        "nothing answers here, and one of them nowhere",
        [bad(UDP), bad(UDP2)],
        *("nothing-works", "bad", [("nothing-answers", "network"), ("nothing-answers", "operator")]),
        found={"seen": {UDP: "", UDP2: "no answer"}},
    ),
    Case(
        "only one server, with a wrong certificate",
        [bad(TLS, "closed", 701)],
        *("nothing-works", "bad", [("certificate", "operator")]),
        found={"seen": {TLS: "its certificate is not valid for its name, or not trusted here"}},
    ),
    Case(
        "WebSockets are blocked",
        [well(UDP)],
        *("no-signaling", "bad", [("websocket-blocked", "network")]),
        found={"websocket": False, "obstacle": Obstacle("blocked", "GET /healthz: HTTP status 200")},
    ),
    Case(
        "the server dies during the check",
        [well(UDP)],
        *("server-silent", "bad", [("server-silent", "operator")]),
        "The server of this console stopped answering during the check.",
        "Look at this console's server and the proxy in front of it.",
        {"websocket": False, "obstacle": Obstacle("down", "GET /healthz: TypeError")},
    ),
    Case(
        "the network goes during the check",
        [well(UDP), bad(UDP2), bad(TLS)],
        *("offline", "bad", [("offline", "you")]),
        "This device went offline during the check.",
        "Connect it to a network, then check again.",
        {"websocket": False, "obstacle": Obstacle("offline", "GET /healthz: TypeError")},
    ),
    Case(
        "the server does not know the page's address",
        [well(UDP)],
        *("not-its-address", "bad", [("foreign-origin", "operator")]),
        "It will not work from here: this console does not know the address of this page as its own.",
        "Name the proxy in [access] proxies.",
        {"websocket": False, "obstacle": Obstacle("foreign-origin", "Name the proxy in [access] proxies.")},
    ),
    Case("relays over TLS alone", [well(TLS)], "works", "good", []),
    Case(
        "a URL that no browser takes",
        [bad(UDP, "refused-by-browser"), well(UDP2)],
        "works-mostly",
        "fair",
        [("url-unusable", "operator")],
    ),
    Case(
        "servers on this machine, and Firefox",
        [bad(HERE, "loopback", 701), bad(HERE_TLS, "loopback")],
        *("direct-only", "bad", [("loopback", "you"), ("loopback", "you")]),
        advice="This browser asks no server at 127.0.0.1, which leads to this machine only.",
        found={"seen": {HERE: "", HERE_TLS: ""}},
    ),
    Case(
        "one server on this machine, and Firefox",
        [bad(HERE, "loopback", 701), well(TLS)],
        *("over-tls", "fair", [("loopback", "you")]),
        "It will work, over TLS, with more delay: no server is configured for UDP.",
    ),
    Case(
        "no invitation",
        [],
        *("refused", "bad", [("refused", "you")]),
        "An invitation is needed, so nothing could be checked.",
        "Ask the person who runs this console for a link, and open that link.",
        {"refusal": Refusal("invitation-required", "")},
    ),
    Case(
        "no server to ask",
        [],
        *("server-silent", "bad", [("server-silent", "operator")]),
        found={"refusal": Refusal("", "GET /ice?check: TypeError")},
    ),
    Case(
        "no network to ask over",
        [],
        *("offline", "bad", [("offline", "you")]),
        "This device is offline, so nothing could be checked.",
        "Connect it to a network, then check again.",
        {"refusal": Refusal("offline", "GET /ice?check: TypeError")},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict(case: Case) -> None:
    found = Findings(urls=case.urls, websocket=True, families={4}, unix=1_800_000_000.0)
    for name, value in case.found.items():
        setattr(found, name, value)
    verdict = judge(found)
    assert (verdict.rule, verdict.level) == (case.rule, case.level)
    assert [(problem.rule, problem.who) for problem in verdict.problems] == case.problems
    sentence, words = sentence_of(found, verdict), [advice(problem) for problem in verdict.problems]
    assert sentence.startswith(case.sentence)
    assert sentence.endswith(".")
    assert not case.advice or any(one.startswith(case.advice) for one in words), words
    assert all(one and "  " not in one for one in words)
    assert report(found, verdict)["verdict"] == case.rule


@pytest.mark.parametrize(
    ("urls", "mapping", "them", "forecast"),
    [
        ([well(UDP)], "independent", None, None),
        ([well(UDP)], "independent", TheirFacts(True, False, ""), "direct"),
        ([well(UDP)], None, TheirFacts(True, False, ""), "direct"),
        ([well(UDP)], "dependent", TheirFacts(True, False, ""), "perhaps-symmetric-here"),
        ([well(UDP)], "independent", TheirFacts(True, True, ""), "perhaps-symmetric-there"),
        ([well(UDP)], "dependent", TheirFacts(True, True, ""), "relay-both-symmetric"),
        ([bad(UDP), well(TLS)], None, TheirFacts(True, False, ""), "relay-udp-here"),
        ([well(UDP)], "independent", TheirFacts(False, False, ""), "relay-udp-there"),
        ([well(TLS)], None, TheirFacts(True, False, ""), "unknown"),
        ([well(UDP)], "independent", TheirFacts(True, False, "direct"), "is-direct"),
        ([well(UDP)], "dependent", TheirFacts(True, False, "relay"), "perhaps-symmetric-here"),
        ([bad(UDP), well(TLS)], None, TheirFacts(True, False, "relay"), "relay-udp-here"),
        ([well(UDP)], "independent", TheirFacts(True, False, "relay"), "direct"),
        ([well(UDP)], "independent", TheirFacts(True, False, "relay", is_relay_only=True), "relay-only"),
    ],
)
def test_the_forecast(urls: list[UrlFinding], mapping: object, them: TheirFacts | None, forecast: str | None) -> None:
    found = Findings(urls=urls, websocket=True, them=them)
    found.mapping = mapping  # type: ignore[assignment]  # a parameter of the test
    assert judge(found).forecast == forecast
