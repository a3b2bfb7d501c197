"""Runs inside Pyodide during the build: compiles and packs the archives.

Compiled code belongs to the Python version that compiled it, so Pyodide itself compiles it.
`runtime/build/sitecustomize.py` reads these archives, and documents their format.
"""

import ast
import marshal
import re
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType
from typing import Any, TypeAlias

LIBRARY = "/lib/python3.14/"
"""The library's path in tracebacks."""
APP_OPTIMIZE = 0
LIBRARY_OPTIMIZE = 2
"""Without docstrings, which are a tenth of the bytes."""
BROWSER_ONLY = {"js", "pyodide", "pyodide_js", "pyscript", "console_runtime", "pyapp"}
BEFORE_OURS = ("encodings", "encodings.aliases", "encodings.utf_8", "sitecustomize")
"""Modules that Python reads from its own archive before it can use ours."""

REPLACED = {"pyodide._package_loader": "package_loader.py"}
"""Library modules that a file of this folder replaces at every start."""
ADDED = {"prepared_dataclasses": "prepared_dataclasses.py"}
"""Modules that the library has not."""

ENCODING = re.compile(r"[A-Za-z][A-Za-z0-9_-]{2,20}", re.ASCII)

Modules: TypeAlias = dict[str, tuple[bool, str, Any]]
"""By name: whether it is a package, its file, and its code. The same for the library, whole, and for the console."""


def module_name(path: str) -> str:
    """Return the dotted name of the module at `path`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def compiled(path: str, source: bytes, *, folder: str, optimize: int) -> tuple[bool, str, CodeType]:
    """Return an entry of an archive."""
    file = folder + path
    return path.endswith("/__init__.py"), file, compile(source, file, "exec", dont_inherit=True, optimize=optimize)


def compile_library(stock: str) -> Modules:
    """Compile all modules of Pyodide's own library archive."""
    with zipfile.ZipFile(stock) as archive:
        return {
            module_name(path): compiled(path, archive.read(path), folder=LIBRARY, optimize=LIBRARY_OPTIMIZE)
            for path in archive.namelist()
            if path.endswith(".py")
        }


def own_library(runtime: str, path: str) -> tuple[bool, str, CodeType]:
    """Compile a file of this folder as if it belonged to the library."""
    return compiled(path, (Path(runtime) / path).read_bytes(), folder=LIBRARY, optimize=LIBRARY_OPTIMIZE)


def sources(app: str) -> dict[str, bytes]:
    """Return the console's own modules, by their path."""
    root = Path(app)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.py"))}


def own_modules(app: str) -> list[str]:
    """Return the names of the console's modules."""
    return [module_name(path) for path in sources(app)]


def library_imports(app: str) -> list[str]:
    """Return the console's library imports, anywhere in its code; some names may not be modules."""
    names: set[str] = set()
    for source in sources(app).values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ENCODING.fullmatch(node.value):
                names.add(f"encodings.{node.value.replace('-', '_').lower()}")  # `text.encode("utf-16-le")`
    return sorted(name for name in names if name.partition(".")[0] not in BROWSER_ONLY)


def methods(key: str, text: str) -> tuple[CodeType, tuple[str, ...]]:
    """Compile what `dataclasses` wrote for a class: a function that returns its methods. Return their names, too."""
    (outer,) = codes(compile(text, "<string>", "exec", dont_inherit=True))
    qualified = key.partition(":")[2]
    named = {code: code.replace(co_qualname=f"{qualified}.{code.co_name}") for code in codes(outer)}
    constants = tuple(named.get(value, value) if isinstance(value, CodeType) else value for value in outer.co_consts)
    return outer.replace(co_consts=constants), tuple(code.co_name for code in named)


def codes(code: CodeType) -> list[CodeType]:
    """Return the code of the functions that `code` defines."""
    return [value for value in code.co_consts if isinstance(value, CodeType)]


def archive(modules: Modules, recorded: dict[str, Any]) -> bytes:
    """Return an archive, including what Python would compile when `modules` are imported."""
    functions = {
        text: compile(text, "<string>", mode, dont_inherit=True) for text, mode in recorded["functions"].items()
    }
    plans = {name: (*methods(name, text), *plan) for name, (text, *plan) in recorded["plans"].items()}
    return marshal.dumps({"modules": modules, "functions": functions, "patterns": recorded["patterns"], "plans": plans})


def pyc(code: CodeType) -> bytes:
    """Return an unchecked `.pyc` file, since there is no source to compare it with."""
    return MAGIC_NUMBER + (0b01).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)


def prepare(stock: str, app: str, runtime: str, discovered: str, out: str) -> None:
    """Make `library.zip`, `console.marshal`, and the whole library as single files, in `out`."""
    found: dict[str, Any] = marshal.loads(Path(discovered).read_bytes())  # noqa: S302 - written by this build
    target = Path(out)
    whole = compile_library(stock)
    for name, path in REPLACED.items():
        whole[name] = own_library(runtime, path)
    (target / "modules").mkdir(parents=True)
    for name, (_, _, code) in whole.items():
        (target / "modules" / f"{name}.marshal").write_bytes(marshal.dumps(code))

    def kept(name: str, code: CodeType) -> CodeType | bytes | None:
        if name in found["at_start"]:
            return code
        return marshal.dumps(code) if name in found["later"] else None

    library: Modules = {name: (is_package, file, kept(name, code)) for name, (is_package, file, code) in whole.items()}
    library |= {name: own_library(runtime, path) for name, path in ADDED.items()}
    whole["sitecustomize"] = own_library(runtime, "sitecustomize.py")
    with zipfile.ZipFile(target / "library.zip", "w", zipfile.ZIP_STORED) as packed:  # stored: it is read at once
        for name in BEFORE_OURS:
            is_package, _, code = whole[name]
            path = name.replace(".", "/") + ("/__init__.pyc" if is_package else ".pyc")
            packed.writestr(zipfile.ZipInfo(path), pyc(code))
        packed.writestr(zipfile.ZipInfo("library.marshal"), archive(library, found["library"]))
    console: Modules = {}
    for path, source in sources(app).items():
        is_package, file, code = compiled(path, source, folder="", optimize=APP_OPTIMIZE)
        name = module_name(path)
        console[name] = (is_package, file, code if name in found["at_start"] else marshal.dumps(code))
    (target / "console.marshal").write_bytes(archive(console, found["console"]))
