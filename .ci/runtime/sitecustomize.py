"""Runs first in the page's Python: fetches what the trimmed library lacks, and says so.

The build leaves out of the standard library what the console does not import. If that was wrong, or code under `pyapp/`
is newer than the build, the module comes from the server at the moment of its import: late, but it works, and
`static/interpreter.mjs` reports it, which the journal takes down as a fault.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

# The build puts the names of all modules here, and whether each is a package.
LIBRARY: dict[str, bool] = {}


class LateLoader:
    """Finds and loads modules of the library that the server has and the page does not."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for every module of the whole library."""
        del path, target
        if name not in LIBRARY:
            return None
        return ModuleSpec(name, self, is_package=LIBRARY[name])  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Fetch the module's code and run it."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - what a loader does

    def get_code(self, name: str) -> CodeType:
        """Return the compiled module, fetched while everything waits."""
        import marshal  # noqa: PLC0415 - never needed unless something is missing

        from console_runtime import fetch_module  # noqa: PLC0415 - as above

        data: bytes = fetch_module(name).to_bytes()
        code: CodeType = marshal.loads(data[16:])  # noqa: S302 - our own build, from our own server
        return code


sys.meta_path.append(LateLoader())
