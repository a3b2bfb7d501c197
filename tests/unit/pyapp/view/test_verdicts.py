"""What went wrong, in words."""

import pytest

from pyapp.core.diagnostics.gathering import Gathering
from pyapp.protocol.signaling import FATAL_CODES
from pyapp.view.verdicts import REFUSALS, media_refusal, no_path, refusal

URL = "turns:turn.example.org:443?transport=tcp"


class TestARefusal:
    @pytest.mark.parametrize("code", sorted(REFUSALS))
    def test_has_words_of_its_own_and_the_cause(self, code: str) -> None:
        failure = refusal(code, "reason")
        assert (failure.headline, failure.detail) == REFUSALS[code]
        assert failure.cause == f"{code}: reason"

    def test_that_is_not_known_still_has_words(self) -> None:
        failure = refusal("teapot", "short and stout")
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
        failure = no_path(gathering, relay_only=True)
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
        failure = no_path(gathering, relay_only=False)
        assert "turn.example.org" in failure.detail
        assert "other.example.org" in failure.detail
        assert len(failure.cause.splitlines()) == 2

    def test_without_a_relay_says_that_one_is_needed(self) -> None:
        assert "No relay server could be used." in no_path(Gathering(), relay_only=True).detail

    def test_between_two_networks_suggests_another_network(self) -> None:
        failure = no_path(Gathering(), relay_only=False)
        assert failure.detail.startswith("The two networks let no connection through. Try another network")
        assert "connectionState failed" in failure.cause

    def test_keeps_the_technical_cause_of_what_has_no_words(self) -> None:
        gathering = Gathering()
        gathering.error("stun:stun.example.org", 701, "timeout")
        failure = no_path(gathering, relay_only=False)
        assert "701" not in failure.detail
        assert failure.cause == "icecandidateerror 701 timeout (stun:stun.example.org)"


class TestMedia:
    @pytest.mark.parametrize(
        ("error", "words"),
        [
            ("NotAllowedError", "may not use the camera"),
            ("NotFoundError", "No camera was found"),
            ("NotReadableError", "in use by another program"),
            ("OverconstrainedError", "(OverconstrainedError)"),
        ],
    )
    def test_that_the_browser_did_not_give_is_explained(self, error: str, words: str) -> None:
        assert words in media_refusal("camera", error)
