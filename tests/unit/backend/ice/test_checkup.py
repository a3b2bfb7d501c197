"""`server.py check`: a row for each provider and each URL."""

import json
from pathlib import Path

import pytest

from backend.ice.checkup import Row, checkup
from backend.ice.health import Check
from backend.ice.ice_servers import read_ice_servers
from server import main


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(url: str, *_: object, **__: object) -> Check:
        return Check("no answer") if "dead" in url else Check(seconds=0.0123)

    monkeypatch.setattr("backend.ice.watch.check", check)


def write(folder: Path, *hosts: str, file: bool = True) -> Path:
    provided = folder / "rtc.json"
    if file:
        provided.write_text(json.dumps([{"urls": "turn:provided.example", "username": "u", "credential": "c"}]))
    path = folder / "ice.toml"
    entries = "".join(f'[[server]]\nurls = ["turn:{host}.example"]\nsecret = "s"\n' for host in hosts)
    path.write_text(f'{entries}[[provider]]\nkind = "file"\npath = "rtc.json"\n')
    return path


async def test_a_row_for_each(tmp_path: Path) -> None:
    rows = await checkup(read_ice_servers(write(tmp_path, "one", "dead")))
    assert [row.text() for row in rows] == [
        "well\tprovider file\t",
        "well\tturn:one.example\t12 ms",
        "not well\tturn:dead.example\tno answer",
        "well\tturn:provided.example\t12 ms",
    ]


async def test_a_provider_that_does_not_answer(tmp_path: Path) -> None:
    path = write(tmp_path, "one", file=False)
    rows = await checkup(read_ice_servers(path))
    assert rows[0] == Row("provider file", f"{tmp_path / 'rtc.json'}: cannot be read: No such file or directory")


def test_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(write(tmp_path, "one"))]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "well\tturn:one.example\t12 ms"
    assert main(["--config", str(write(tmp_path, "dead")), "check"]) == 1
    assert main(["check"]) == 2
    assert main(["check", "--config", str(tmp_path / "nowhere.toml")]) == 2
