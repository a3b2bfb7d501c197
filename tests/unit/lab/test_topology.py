"""What a machine lacks for a lab, and how programs are started in one: without a lab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.lab.plumbing import missing
from tests.lab.topology import Network

if TYPE_CHECKING:
    import pytest


def test_every_program_that_a_machine_lacks_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    lacks = missing()
    assert "the program nft (Debian: nftables)" in lacks
    assert "the program chromium (Debian: chromium)" in lacks


def test_who_stops_a_run_at_the_terminal_does_not_stop_the_lab_s_programs_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Network, "command", lambda _, __, argv: argv)
    network = Network()
    process = network.popen("home-0", ["sleep", "60"])
    try:
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        network.stop(process)
