"""What a standby is told of the path in use."""

from dataclasses import replace

import pytest

from pyapp.core.diagnostics.path_report import PathReport
from tests.unit.pyapp.parts import ONE, STUN, TLS, TWO, Parts, report


class TestARelayOnThePath:
    def test_is_ours_alone(self) -> None:
        """Of the other side's nothing is known here but that it is one."""
        assert Parts(report("relay")).in_use.relay == ONE
        assert Parts(report("host", "relay")).in_use.relay == ""
        assert Parts(None).in_use.relay == ""

    @pytest.mark.parametrize(
        ("path", "over_tcp"),
        [
            (report("relay", over="udp"), False),
            (report("relay", over=""), False),
            (report("relay", over="tcp"), True),
            (report("relay", over="tls", url=TLS), True),
            (report("host"), False),
            (None, False),
        ],
    )
    def test_is_reached_as_the_browser_says(self, path: PathReport | None, *, over_tcp: bool) -> None:
        assert Parts(path).in_use.over_tcp is over_tcp


class TestAnOffer:
    @pytest.mark.parametrize(("remote", "polite"), [("host", True), ("srflx", False), ("relay", False)])
    def test_is_ours_to_make_over_our_relay(self, remote: str, *, polite: bool) -> None:
        assert Parts(report("relay", remote), polite=polite).in_use.offers

    @pytest.mark.parametrize(
        "path",
        [None, report("host"), report("host", "relay"), report("relay", url="")],
        ids=["unknown", "direct", "theirs", "no-url"],
    )
    def test_is_not_without_a_relay_of_ours_that_is_known(self, path: PathReport | None) -> None:
        assert not Parts(path).in_use.offers

    def test_is_made_by_one_side_if_both_relay(self) -> None:
        assert [Parts(report("relay", "relay"), polite=polite).in_use.offers for polite in (False, True)] == [
            True,
            False,
        ]

    @pytest.mark.parametrize("missing", ["signaling_is_there", "peer_is_there"])
    def test_waits_for_whoever_brings_it(self, missing: str) -> None:
        parts = Parts(report("relay"))
        setattr(parts.outside, missing, False)
        assert not parts.in_use.offers

    def test_waits_for_a_path_that_has_worked_and_works(self) -> None:
        parts = Parts(report("relay"))
        parts.observation.established = False
        assert not parts.in_use.offers
        parts.observation.established = True
        parts.health.suspect("silence", 1.0)
        assert not parts.in_use.offers


class TestAStandby:
    def test_is_wanted_by_the_setting_once_there_is_a_path(self) -> None:
        parts = Parts(report("host"))
        assert parts.in_use.is_wanted, "also beside a direct path: the other side may offer one"
        parts.relays.configuration = replace(parts.relays.configuration, standby=False)
        assert not parts.in_use.is_wanted
        assert not Parts(None).in_use.is_wanted

    def test_tries_last_what_went_silent(self) -> None:
        parts = Parts(report("relay"))
        parts.relays.set_aside(ONE)
        assert [server.urls[0] for server in parts.in_use.configuration.servers] == [STUN, TWO, TWO, ONE]
