"""What holds for every unit test.

None asks for a browser, not even by giving a parameter the name of a pytest-playwright fixture: pytest would sort it
among the tests in browsers, and run the unit tests behind it while Playwright's event loop occupies the thread.
"""

import os

import pytest

from tests.unit.examples import register

register()


@pytest.hookimpl(optionalhook=True)  # with `-p no:xdist` there is none
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: some tests wait for programs, sockets and clocks."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a unit test that would start Playwright."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if "tests/unit/" in item.nodeid and "browser_name" in parameters:
            raise pytest.UsageError(f"{item.nodeid}: one of its parameters has the name of a pytest-playwright fixture")
