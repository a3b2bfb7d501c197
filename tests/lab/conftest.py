"""One lab for all tests of this folder; where none can stand, the reason."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.lab import servers
from tests.lab.lab import Lab
from tests.lab.plumbing import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.sites import Place, Site


_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the lab prove itself before anything is played in it; all else stays in order."""
    items.sort(key=lambda item: item.path.parent == _HERE and item.path.name != "test_selfcheck.py")


class Attach(Protocol):
    """Puts up a site for the length of a test."""

    def __call__(self, site: Site) -> Place: ...


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Put up the lab, or say what is missing: a reason to skip here, a failure in continuous integration."""
    if lacks := missing():
        reason = "no network lab here, missing: " + "; ".join(lacks)
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Lab() as standing:
        yield standing


@pytest.fixture(scope="module")
def config(lab: Lab) -> Iterator[Path]:
    """Write the console's configuration, with the lab's STUN and TURN servers."""
    with servers.configuration(lab) as file:
        yield file


@pytest.fixture
def attach(lab: Lab) -> Iterator[Attach]:
    with contextlib.ExitStack() as stack:

        def put_up(site: Site) -> Place:
            place = lab.attach(site)
            stack.callback(lab.detach, place)
            return place

        yield put_up
