"""Reads tables of the configuration file. Every mistake is one line, and all are reported together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from backend.settings import Mistakes, StartError

SOURCES = ("", "_env", "_file")
"""Suffixes of a secret's key: the value itself, the name of an environment variable, the name of another file."""


@dataclass(frozen=True, slots=True)
class FileMistakes(Mistakes):
    """What is wrong with the file at `path`."""

    path: Path = field(kw_only=True)

    def fail(self, rule: str) -> NoReturn:
        """Leave the innermost `collecting` with this mistake."""
        raise StartError(f"{self.path}: {rule}")


@dataclass(frozen=True, slots=True)
class Table:
    """One `[[server]]` or `[[provider]]`; `entry` is what errors call it."""

    mistakes: FileMistakes
    entry: str
    table: Mapping[str, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def fail(self, rule: str) -> NoReturn:
        """Leave the innermost `collecting` with this mistake."""
        self.mistakes.fail(f"{self.entry}: {rule}")

    def check_keys(self, known: tuple[str, ...], top: tuple[str, ...]) -> None:
        """Record unknown keys, and keys that belong before the first table."""
        for key in self.table:
            with self.mistakes.collecting():
                if key in top:  # TOML takes what follows [[server]] for a key of that table
                    self.fail(f"{key}: must stand before the first [[server]] and [[provider]]")
                if key not in known:
                    self.fail(f"unknown key {key!r}; known are {', '.join(known)}")

    def text(self, key: str) -> str:
        """Return the text at `key`, or an empty one."""
        value = self.table.get(key, "")
        if not isinstance(value, str):
            self.fail(f"{key}: must be text")
        return value

    def filled(self, key: str) -> str:
        """Return the text at `key`, which must say something."""
        value = self.text(key)
        if not value.strip():
            self.fail(f"{key}: is empty")
        return value

    def seconds(self, key: str, default: int, most: int) -> int:
        """Return the time at `key`."""
        value = self.table.get(key, default)
        if type(value) is not int:  # in Python a bool is an int, in TOML it is not
            self.fail(f"{key}: must be a whole number of seconds")
        if not 0 < value <= most:
            limit = "a year" if most == 366 * 86400 else f"{most} seconds"
            self.fail(f"{key}: must be from 1 second to {limit}")
        return value

    def secret(self, key: str) -> str:
        """Return the secret that `key` names: `x`, `x_env` or `x_file`."""
        source = self.filled(key)
        readers: dict[str, Callable[[str, str], str]] = {"_env": self._from_environment, "_file": self._from_file}
        reader = next((reader for suffix, reader in readers.items() if key.endswith(suffix)), None)
        secret = reader(key, source) if reader else source
        if not secret.isprintable():  # several lines, or UTF-16, in which every other byte is zero
            self.fail(f"{key}: {source if reader else 'its value'}: must be one line of text in UTF-8")
        return secret

    def _from_environment(self, key: str, variable: str) -> str:
        if variable not in self.environ:
            self.fail(f"{key}: the environment has no variable {variable!r}")
        if not (secret := self.environ[variable].strip()):
            self.fail(f"{key}: the environment variable {variable!r} is empty")
        return secret

    def _from_file(self, key: str, name: str) -> str:
        path = self.mistakes.path.parent / name
        try:
            secret = path.read_text(encoding="utf-8-sig").strip()
        except OSError as error:
            self.fail(f"{key}: {path}: cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self.fail(f"{key}: {path}: is not UTF-8 text")
        except ValueError:  # a zero byte, which TOML can write
            self.fail(f"{key}: {name!r}: is no path")
        if not secret:
            self.fail(f"{key}: {path}: is empty")
        return secret


def entry_name(kind: str, number: int, table: Mapping[str, Any]) -> str:
    """Return what errors call a table: its position, and its name if it has one."""
    name = table.get("name")
    return f"[[{kind}]] {number}" + (f' "{name}"' if isinstance(name, str) and name else "")
