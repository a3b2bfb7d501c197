"""What went wrong, in words."""

from typing import Literal

import pytest

from pyapp.core.diagnostics.gathering import Gathering, ServerProblem
from pyapp.core.failures import Refusal, TooLong, TooMuchWaiting, no_path
from pyapp.protocol.signaling import FATAL_CODES
from pyapp.view.verdicts import REFUSALS, explain, message_refusal, server_sentences

URL = "turns:turn.example.org:443?transport=tcp"


class TestARefusal:
    @pytest.mark.parametrize("code", sorted(REFUSALS))
    def test_has_words_of_its_own_and_the_cause(self, code: str) -> None:
        failure = explain(Refusal(code, "reason"))
        assert (failure.headline, failure.detail) == REFUSALS[code]
        assert failure.cause == f"{code}: reason"

    def test_that_is_not_known_still_has_words(self) -> None:
        failure = explain(Refusal("teapot", "short and stout"))
        assert failure.headline == "The server refused"
        assert failure.cause == "teapot: short and stout"

    def test_that_is_final_is_known_but_for_a_programming_error(self) -> None:
        assert FATAL_CODES - REFUSALS.keys() == {"not-joined"}
        assert REFUSALS.keys() <= FATAL_CODES

    @pytest.mark.parametrize("code", sorted(REFUSALS))
    def test_is_told_in_sentences_without_jargon(self, code: str) -> None:
        headline, detail = REFUSALS[code]
        assert not headline.endswith(".")
        assert detail.endswith(".")
        assert not {"token", "websocket", "ice", "jwt"} & set(detail.lower().replace(".", " ").split())


class TestNoPath:
    def test_names_the_server_that_is_to_blame(self) -> None:
        gathering = Gathering()
        gathering.error(URL, 401, "Unauthorized")
        failure = explain(no_path(gathering, relay_only=True))
        assert failure.headline == "No connection is possible"
        assert failure.detail == (
            "The relay server turn.example.org (TLS port 443) refused our user name or password."
            " Whoever runs this console must mend the relay server."
        )
        assert failure.cause == f"icecandidateerror 401 Unauthorized ({URL})"

    def test_names_every_server_that_is_to_blame(self) -> None:
        gathering = Gathering()
        gathering.error(URL, 401, "Unauthorized")
        gathering.error("turn:other.example.org", 701, "timeout")
        failure = explain(no_path(gathering, relay_only=False))
        assert "turn.example.org" in failure.detail
        assert "other.example.org" in failure.detail
        assert len(failure.cause.splitlines()) == 2

    def test_without_a_relay_says_that_one_is_needed(self) -> None:
        assert "No relay server could be used." in explain(no_path(Gathering(), relay_only=True)).detail

    def test_between_two_networks_suggests_another_network(self) -> None:
        failure = explain(no_path(Gathering(), relay_only=False))
        assert failure.detail.startswith("The two networks let no connection through. Try another network")
        assert "connectionState failed" in failure.cause

    def test_blames_no_network_for_what_the_browser_does_not_ask(self) -> None:
        gathering = Gathering()
        gathering.error("turn:127.0.0.1:3478", 701, "")
        detail = explain(no_path(gathering, relay_only=True)).detail
        assert detail.endswith("uses none. Open this page at another address of the machine, or in another browser.")

    def test_keeps_the_technical_cause_of_what_has_no_words(self) -> None:
        gathering = Gathering()
        gathering.error("stun:stun.example.org", 701, "timeout")
        failure = explain(no_path(gathering, relay_only=False))
        assert "701" not in failure.detail
        assert failure.cause == "icecandidateerror 701 timeout (stun:stun.example.org)"


class TestAServer:
    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("credentials-refused", "refused our user name or password"),
            ("quota-reached", "has reached its limit of connections for us"),
            ("no-capacity", "has no capacity left"),
            ("no-answer", "did not answer"),
            ("loopback", "is on this machine alone, where this browser uses none"),
        ],
    )
    def test_that_is_of_no_use_is_named_with_the_reason(
        self, kind: Literal["credentials-refused", "quota-reached", "no-capacity", "no-answer", "loopback"], words: str
    ) -> None:
        (sentence,) = server_sentences([ServerProblem(URL, kind)])
        assert sentence == f"The relay server turn.example.org (TLS port 443) {words}."

    def test_that_is_listed_twice_is_named_once(self) -> None:
        same = ("turn:turn.example.org", "turn:turn.example.org:3478?transport=udp")
        assert len(server_sentences(ServerProblem(url, "no-answer") for url in same)) == 1

    def test_whose_url_is_none_is_named_as_it_is(self) -> None:
        (sentence,) = server_sentences([ServerProblem("turnip", "credentials-refused")])
        assert sentence == "The relay server turnip refused our user name or password."


class TestAMessage:
    def test_that_is_too_long_is_told_how_long_it_may_be(self) -> None:
        assert (
            message_refusal(TooLong(70_000))
            == "This message is too long: it has 70,000 bytes, and 65,536 are the most."
        )

    def test_that_is_one_too_many_can_be_sent_again_later(self) -> None:
        assert "Send it again when" in message_refusal(TooMuchWaiting())
