"""Every sentence that a person reads stands in the view: the core and the shells have none."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SOURCES = sorted(path for folder in ("core", "shell", "browser") for path in (ROOT / "pyapp" / folder).rglob("*.py"))

SHOWN = {"textContent", "innerText", "innerHTML", "title", "placeholder", "alt", "aria-label", "label"}
"""Properties and attributes whose text a person sees or hears."""

SENTENCE = re.compile(r"(?:^|[.:] )[A-Z][a-z]+ [a-z]|[a-z]{2}[.…!?]$")

CAUSES = {"WebSocket closed with "}
"""Technical causes, which the view shows as such."""


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """Return the texts in it, but for docstrings."""
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone:
            yield node


def shown(tree: ast.AST) -> Iterator[ast.expr]:
    """Return what is handed to the document to be read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets = [each for target in node.targets for each in getattr(target, "elts", [target])]
            if any(isinstance(target, ast.Attribute) and target.attr in SHOWN for target in targets):
                yield node.value
        elif isinstance(node, ast.Call):
            names = [each for each in node.args if isinstance(each, ast.Constant) and each.value in SHOWN]
            yield from (each for each in node.args if names and each not in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "pyapp")))
def test_no_sentence_stands_outside_the_view(path: Path) -> None:
    found = [node.value for node in literals(ast.parse(path.read_text())) if SENTENCE.search(str(node.value))]
    assert set(found) <= CAUSES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "pyapp")))
def test_nothing_that_is_shown_is_written_on_the_spot(path: Path) -> None:
    tree = ast.parse(path.read_text())
    own = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and list(literals(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for value in shown(tree):
        parts = list(ast.walk(value))
        named = [part.id for part in parts if isinstance(part, ast.Name) and part.id in own]
        written = [text.value for text in literals(value) if re.search("[a-z]{2}", str(text.value))]
        is_identifier = isinstance(value, ast.Constant | ast.JoinedStr) and all(
            re.fullmatch("[a-z-]*", str(text)) for text in written
        )
        assert not named, f"line {value.lineno}: {named}"
        assert not written or is_identifier, f"line {value.lineno}: {written}"


def test_it_finds_what_it_looks_for() -> None:
    tree = ast.parse('write("x", "textContent", "Copy link")\nbutton.title = MARKS["a"]\nlabel = "Try again."')
    assert {ast.unparse(value) for value in shown(tree)} == {"'x'", "'Copy link'", "MARKS['a']"}
    assert {text.value for text in literals(tree) if SENTENCE.search(str(text.value))} == {"Copy link", "Try again."}
