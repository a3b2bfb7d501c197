"""The sentence of an entry: what it says, and that there is one whatever a page made up."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.protocol import sentences
from pyapp.protocol.sentences import FORMS, LONGEST, sentence

CORE = Path(__file__).parents[4] / "pyapp/core"
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
    assert sentence(event, data) == said


@pytest.mark.parametrize("event", ["peer", "channel", "check", "message", "signaling", "no-alarm", "stats", "state"])
def test_of_an_entry_that_does_not_say_enough_is_its_name(event: str) -> None:
    """As of earlier versions, which told the page in words what they did not tell the record."""
    assert sentence(event, {}) == event.replace("-", " ")


def noted() -> Iterator[str]:
    """Return the event of each entry that the core makes."""
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and re.search(r"\bnote$|_note$", ast.unparse(node.func)):
                words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                yield from words[1:2]


def test_every_entry_of_the_core_has_a_form() -> None:
    found = set(noted())
    assert "suspect" in found
    assert found <= set(FORMS)


def test_every_reason_of_the_core_has_its_words_and_none_is_left_over() -> None:
    """Found in the source: a code without words, or words without a code, is noticed nowhere else."""
    code = r"\"([a-z]+(?:-[a-z]+)*)\""
    text = "\n".join(path.read_text() for path in CORE.rglob("*.py"))
    restarts = re.findall(rf"(?:want_restart|restarts\.begin)\({code}", text) + re.findall(rf"\bwhy = {code}", text)
    of_standby = "".join((CORE / "path" / name).read_text() for name in ("standby.py", "aside.py"))
    ended = re.findall(rf"\.(?:failed|_?close)\({code}", of_standby)
    aside = re.findall(rf"_ignored\([^,()]*(?:\{{[^}}]*\}}[^,()]*)?, {code}", text) + re.findall(rf"\bwhy={code}", text)
    assert (set(restarts), set(ended), set(aside)) == (
        set(sentences._RESTARTS),
        set(sentences._STANDBY_OVER),
        set(sentences._LEFT_ASIDE),
    )


scalars = st.text(max_size=1024) | st.integers(-(2**53), 2**53) | st.floats() | st.booleans() | st.none()
FIELDS = sorted(set(re.findall(r"""[\["'({](\w+)[\]"')}]""", Path(sentences.__file__).read_text())))
"""What may be a field's name: whatever is quoted, or in braces."""


TURNING = {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of characters that turn what stands around them."""


@given(st.sampled_from([*sorted(FORMS), "another"]), st.dictionaries(st.sampled_from(FIELDS), scalars))
def test_is_short_and_plain_whatever_a_page_made_up(event: str, data: dict[str, Any]) -> None:
    said = sentence(event, data)
    assert said
    assert len(said) <= LONGEST
    assert not [one for one in said if unicodedata.category(one) in ("Cc", "Zl", "Zp")]
    assert not {unicodedata.bidirectional(one) for one in said} & TURNING


def test_braces_in_the_data_are_no_form() -> None:
    assert sentence("fault", {"where": "{error.__class__}", "error": "x"}) == "{error.__class__}: x"
