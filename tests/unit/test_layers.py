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


def test_a_private_field_is_no_argument_of_the_constructor() -> None:
    found = []
    for path in (path for folder in ("pyapp", "backend") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(one) for one in node.decorator_list):
                found += [f"{path.relative_to(ROOT)}: {node.name}.{name}" for name in private_arguments(node)]
    assert found == []


def private_arguments(dataclass: ast.ClassDef) -> list[str]:
    names = []
    for each in dataclass.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id.startswith("_"):
            options = each.value.keywords if isinstance(each.value, ast.Call) else []
            if ("init", "False") not in [(option.arg, ast.unparse(option.value)) for option in options]:
                names.append(each.target.id)
    return names


@pytest.mark.parametrize(("field", "is_argument"), [("", True), (" = 0", True), (" = field(init=False)", False)])
def test_a_private_argument_is_found(field: str, is_argument: bool) -> None:
    (node,) = ast.parse(f"@dataclass\nclass A:\n    _x: int{field}\n    y: int = 0\n").body
    assert isinstance(node, ast.ClassDef)
    assert private_arguments(node) == (["_x"] if is_argument else [])
