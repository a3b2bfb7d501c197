"""Tables of the configuration file: each mistake a line, all of them together, and no secret in any."""

from pathlib import Path
from typing import Any

import pytest

from backend.ice.tables import FileMistakes, Table, entry_name
from backend.settings import StartError

SECRET = "a-secret-that-must-not-show"


def table(values: dict[str, Any], environ: dict[str, str] | None = None, folder: Path = Path()) -> Table:
    return Table(FileMistakes(path=folder / "ice.toml"), "[[server]] 1", values, environ or {})


class TestMistakes:
    def test_come_together_in_their_order(self) -> None:
        mistakes = FileMistakes(path=Path("ice.toml"))
        for rule in ("one", "two"):
            with mistakes.collecting():
                mistakes.fail(rule)
        with pytest.raises(StartError, match=r"\Aice\.toml: one\nice\.toml: two\Z"):
            mistakes.stop_if_any()

    def test_end_their_block_alone(self) -> None:
        mistakes, reached = FileMistakes(path=Path("ice.toml")), []
        with mistakes.collecting():
            reached.append("before")
            mistakes.fail("one")
            reached.append("after")
        reached.append("behind")
        assert reached == ["before", "behind"]

    def test_in_a_block_of_a_block_are_told_once(self) -> None:
        mistakes = FileMistakes(path=Path("ice.toml"))
        with mistakes.collecting():
            with mistakes.collecting():
                mistakes.fail("one")
            mistakes.fail("two")
        assert mistakes.lines == ["ice.toml: one", "ice.toml: two"]

    def test_hide_no_fault_of_the_program(self) -> None:
        with pytest.raises(KeyError), FileMistakes(path=Path("ice.toml")).collecting():
            raise KeyError

    def test_that_are_none_stop_nothing(self) -> None:
        FileMistakes(path=Path("ice.toml")).stop_if_any()


class TestKeys:
    def test_that_are_wrong_are_each_a_line(self) -> None:
        read = table({"url": 1, "standby": True, "urls": []})
        read.check_keys(("urls", "name"), ("standby",))
        unknown, misplaced = read.mistakes.lines
        assert unknown == "ice.toml: [[server]] 1: unknown key 'url'; known are urls, name"
        assert misplaced.endswith("standby: must stand before the first [[server]] and [[provider]]")

    def test_that_are_right_are_none(self) -> None:
        read = table({"urls": []})
        read.check_keys(("urls",), ("standby",))
        assert read.mistakes.lines == []


class TestTexts:
    def test_that_are_missing_are_empty_unless_they_must_say_something(self) -> None:
        assert table({}).text("name") == ""
        for values in ({}, {"name": ""}, {"name": " \t"}):
            with pytest.raises(StartError, match="name: is empty"):
                table(values).filled("name")

    @pytest.mark.parametrize("value", [5, False, [], {}, ["x"]])
    def test_are_no_other_values(self, value: object) -> None:
        with pytest.raises(StartError, match="name: must be text"):
            table({"name": value}).text("name")


class TestSeconds:
    @pytest.mark.parametrize("value", [1, 3600])
    def test_are_taken_up_to_both_bounds(self, value: int) -> None:
        assert table({"ttl": value}).seconds("ttl", 60, 3600) == value

    def test_that_are_missing_are_as_usual(self) -> None:
        assert table({}).seconds("ttl", 60, 3600) == 60

    @pytest.mark.parametrize("value", [0, -1, 3601, 10**30])
    def test_beyond_a_bound_are_told_which(self, value: int) -> None:
        with pytest.raises(StartError, match="ttl: must be from 1 second to 3600 seconds"):
            table({"ttl": value}).seconds("ttl", 60, 3600)

    def test_beyond_a_year_are_told_so_in_words(self) -> None:
        with pytest.raises(StartError, match="ttl: must be from 1 second to a year"):
            table({"ttl": 366 * 86400 + 1}).seconds("ttl", 60, 366 * 86400)

    @pytest.mark.parametrize("value", [True, 1.0, "60", None, [60]])
    def test_are_whole_numbers(self, value: object) -> None:
        with pytest.raises(StartError, match="ttl: must be a whole number of seconds"):
            table({"ttl": value}).seconds("ttl", 60, 3600)


class TestASecret:
    def test_is_where_its_key_says(self, tmp_path: Path) -> None:
        (tmp_path / "turn.secret").write_text(f"{SECRET}\n", encoding="utf-8")
        values = {"secret": SECRET, "secret_env": "TURN", "secret_file": "turn.secret"}
        read = table(values, {"TURN": f" {SECRET}\n"}, tmp_path)
        assert {read.secret(key) for key in values} == {SECRET}

    def test_is_taken_word_for_word_from_the_file_itself(self) -> None:
        """Spaces in quotes are meant; those around a line of another file are not."""
        assert table({"secret": " s "}).secret("secret") == " s "

    def test_may_be_in_a_file_that_is_named_in_full(self, tmp_path: Path) -> None:
        path = tmp_path / "elsewhere" / "turn.secret"
        path.parent.mkdir()
        path.write_text(SECRET, encoding="utf-8")
        assert table({"secret_file": str(path)}, folder=tmp_path / "here").secret("secret_file") == SECRET

    def test_that_is_a_folder_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "turn.secret").mkdir()
        with pytest.raises(StartError, match=r"secret_file: .*turn\.secret: cannot be read: Is a directory"):
            table({"secret_file": "turn.secret"}, folder=tmp_path).secret("secret_file")

    @pytest.mark.parametrize(
        ("key", "value", "environ"),
        [
            ("secret", f"{SECRET}\n{SECRET}", {}),
            ("secret_env", "TURN", {"TURN": f"{SECRET}\0"}),
            ("secret_env", "OTHER", {"TURN": SECRET}),
        ],
    )
    def test_is_in_no_error_and_in_no_name_of_the_table(self, key: str, value: str, environ: dict[str, str]) -> None:
        read = table({key: value}, environ)
        with pytest.raises(StartError, match=f"{key}: ") as raised:
            read.secret(key)
        assert SECRET not in str(raised.value)
        assert SECRET not in repr(read)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"name": "turn-eu"}, '[[provider]] 2 "turn-eu"'),
        ({}, "[[provider]] 2"),
        ({"name": ""}, "[[provider]] 2"),
        ({"name": 5}, "[[provider]] 2"),
    ],
)
def test_an_entry_is_called_by_its_place_and_its_name(values: dict[str, Any], name: str) -> None:
    assert entry_name("provider", 2, values) == name
