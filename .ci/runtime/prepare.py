"""Runs inside Pyodide while the runtime is built: compiles and packs.

The magic number of a `.pyc` is that of the Python that made it, so Pyodide itself makes them. They are unchecked: no
source is there to compare them with.
"""

import _imp
import ast
import importlib.util
import marshal
import re
import zipfile
from pathlib import Path

APP_OPTIMIZE = 0
LIBRARY_OPTIMIZE = 2
"""No docstrings: a tenth of the bytes."""
BROWSER_ONLY = {"js", "pyodide", "pyodide_js", "pyscript", "console_runtime", "pyapp"}

ENCODING = re.compile(r"[A-Za-z][A-Za-z0-9_-]{2,20}", re.ASCII)


def pyc(source: bytes, filename: str, *, optimize: int) -> bytes:
    """Return what a `.pyc` file has to contain."""
    code = compile(source, filename, "exec", dont_inherit=True, optimize=optimize)
    magic = importlib.util.MAGIC_NUMBER
    unchecked_hash = (0b01).to_bytes(4, "little")
    return magic + unchecked_hash + _imp.source_hash(int.from_bytes(magic, "little"), source) + marshal.dumps(code)


def module_name(path: str) -> str:
    """Return the dotted name of the module at `path` inside an archive."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def compile_library(stock: str) -> dict[str, bytes]:
    """Compile all modules of Pyodide's own library archive."""
    compiled = {}
    with zipfile.ZipFile(stock) as archive:
        for path in archive.namelist():
            if path.endswith(".py"):
                source = archive.read(path)
                compiled[path + "c"] = pyc(source, f"/lib/python3.14/{path}", optimize=LIBRARY_OPTIMIZE)
    return compiled


def sources(app: str) -> dict[str, bytes]:
    """Return the console's own modules, by their path."""
    root = Path(app)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.py"))}


def library_imports(app: str) -> list[str]:
    """Return what the console imports of the library, wherever in its code; some names may be no modules."""
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


def pack(path: str, files: dict[str, bytes]) -> None:
    """Write an archive that is stored, not deflated, and the same whenever it is made."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name])


def prepare(stock: str, app: str, sitecustomize: str, out: str, needed: list[str]) -> None:
    """Make `library.zip`, `console.zip` and the whole library as single files in `out`."""
    library = compile_library(stock)
    listing = {module_name(path[:-1]): path.endswith("/__init__.pyc") for path in library}
    trimmed = {path: data for path, data in library.items() if module_name(path[:-1]) in needed}
    finder = Path(sitecustomize).read_text().replace("LIBRARY: dict[str, bool] = {}", f"LIBRARY = {listing!r}")
    trimmed["sitecustomize.pyc"] = pyc(finder.encode(), "/lib/python3.14/sitecustomize.py", optimize=LIBRARY_OPTIMIZE)
    target = Path(out)
    (target / "library").mkdir(parents=True)
    for path, data in library.items():
        (target / "library" / f"{module_name(path[:-1])}.pyc").write_bytes(data)
    pack(f"{out}/library.zip", trimmed)
    compiled = {f"{path}c": pyc(source, path, optimize=APP_OPTIMIZE) for path, source in sources(app).items()}
    pack(f"{out}/console.zip", compiled)
