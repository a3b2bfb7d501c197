"""What a machine lacks for a lab, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.topology import missing

if TYPE_CHECKING:
    import pytest


def test_every_program_that_a_machine_lacks_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    lacks = missing()
    assert "the program nft (Debian: nftables)" in lacks
    assert "the program chromium (Debian: chromium)" in lacks
