"""What the contracts in `pyproject.toml` (`make lint`) and the linter cannot say, read from the source."""

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


DATACLASSES = [
    pytest.param(node, id=f"{path.relative_to(ROOT)}:{node.name}")
    for folder in ("pyapp", "backend")
    for path in sorted((ROOT / folder).rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(each) for each in node.decorator_list)
]


@pytest.mark.parametrize("dataclass", DATACLASSES)
def test_a_private_field_is_no_argument_of_the_constructor(dataclass: ast.ClassDef) -> None:
    for each in dataclass.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id.startswith("_"):
            value = each.value
            assert isinstance(value, ast.Call), each.target.id
            assert ("init", "False") in [(option.arg, ast.unparse(option.value)) for option in value.keywords]
