"""What the contracts in `pyproject.toml` (`make lint`) cannot say of imports, read from the source."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOL = sorted((ROOT / "pyapp/protocol").glob("*.py"))


@pytest.mark.parametrize("path", PROTOCOL, ids=lambda path: path.stem)
def test_the_protocol_needs_the_standard_library_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            assert module.startswith("pyapp.protocol") or module.partition(".")[0] in sys.stdlib_module_names
