"""Which version of the page it is."""

from pyapp.protocol.build import build_of

GROUPS = {"pyodide": "pyodide-" + "0" * 16, "page": "page-" + "1" * 16, "console": "console-" + "2" * 16}


def test_a_build_is_that_of_our_own_code() -> None:
    assert build_of(GROUPS) == "1" * 16 + "2" * 16
    assert build_of(GROUPS | {"pyodide": "pyodide-" + "3" * 16}) == build_of(GROUPS)
    assert build_of(GROUPS | {"console": "console-" + "3" * 16}) != build_of(GROUPS)
