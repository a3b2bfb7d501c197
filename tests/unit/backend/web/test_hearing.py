"""What happens to sessions reaches all who want to know."""

from types import SimpleNamespace
from typing import Any

import pytest

from backend.web.hearing import Hearing


def test_an_account_is_closed_even_if_no_credentials_can_be_revoked() -> None:
    closed: list[str] = []

    def fail(_: str) -> None:
        raise KeyError("a fault")

    chain: Any = SimpleNamespace(ended=fail)
    accounts: Any = SimpleNamespace(ended=closed.append)
    meters: Any = None
    with pytest.raises(KeyError, match="a fault"):
        Hearing(chain, meters, accounts).ended("demo")
    assert closed == ["demo"]
