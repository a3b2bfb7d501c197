"""Stands in for `pyodide._package_loader`, which imports two dozen modules to unpack packages. The page loads none.

It provides only what Pyodide itself uses at every start; `tests/browser/test_boot.py` fails if a new version uses more.
"""


class _Folder:
    def __init__(self, path: str) -> None:
        self._path = path

    def __str__(self) -> str:
        return self._path


SITE_PACKAGES = _Folder("/lib/python3.14/site-packages")
DSO_DIR = _Folder("/usr/lib")


def init_loaded_packages() -> None:
    """Note which packages came with the interpreter: none."""
