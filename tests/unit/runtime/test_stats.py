"""What the page picks from `getStats()`: `runtime/page/stats.mjs`."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

STATS = Path(__file__).parents[3] / "runtime/page/stats.mjs"
SCRIPT = """
const { StatsReader } = await import(process.argv[1]);
const told = [];
const answers = JSON.parse(process.argv[2]);
const pc = {
  async getStats() {
    const answer = answers.shift();
    if (typeof answer === "string") throw new Error(answer);
    return new Map(answer.map((entry) => [entry?.id, entry]));
  },
};
const reader = new StatsReader(pc, (changes) => told.push(JSON.parse(changes)), ({ message }) => told.push(message));
const turn = () => new Promise((resolve) => setImmediate(resolve));
while (answers.length) {
  const isLast = ["closed", "closed, refused"].includes(answers[0]);
  if (answers[0] === "closed") answers[0] = [];
  reader.ask();
  if (isLast) reader.close();
  await turn();
}
console.log(JSON.stringify(told));
"""
HOST = {"id": "L", "type": "local-candidate", "candidateType": "host", "port": 1, "foundation": "7"}
PAIR = {"id": "P", "type": "candidate-pair", "state": "succeeded", "bytesSent": 1}


def told(*answers: Sequence[Mapping[str, Any] | None] | str) -> list[Any]:
    """Return what is called back when `getStats()` gives these answers.

    A text is an error, or that it was closed before it answered or refused. None is an entry that cannot be read.
    """
    command = ["node", "--input-type=module", "--eval", SCRIPT, STATS.as_uri(), json.dumps(answers)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    result: list[Any] = json.loads(said.stdout)
    return result


def test_only_what_is_read_is_told() -> None:
    certificate = {"id": "C", "type": "certificate", "fingerprint": "00"}
    assert told([HOST, certificate]) == [
        [{"L": {"type": "local-candidate", "candidateType": "host", "port": 1}}, {}, []],
    ]


def test_only_what_has_changed_is_told_again() -> None:
    busy = PAIR | {"bytesSent": 2}
    _, *later = told([HOST, PAIR], [HOST, PAIR], [HOST, busy], [HOST, busy])
    assert later == [[{}, {}, []], [{}, {"P": {"bytesSent": 2}}, []], [{}, {}, []]]


def test_a_value_may_come_later() -> None:
    assert told([PAIR], [PAIR | {"currentRoundTripTime": 0.5}])[1:] == [[{}, {"P": {"currentRoundTripTime": 0.5}}, []]]


def test_an_entry_that_loses_a_value_is_told_whole() -> None:
    measured = PAIR | {"currentRoundTripTime": 0.5}
    (whole, _, _), still = told([measured], [PAIR], [PAIR])[1:]
    assert whole == {"P": {"type": "candidate-pair", "state": "succeeded", "bytesSent": 1}}
    assert still == [{}, {}, []]


def test_what_is_gone_is_named_once_and_new_if_it_comes_back() -> None:
    _, gone, still, back = told([HOST, PAIR], [PAIR], [PAIR], [HOST, PAIR])
    assert (gone, still) == ([{}, {}, ["L"]], [{}, {}, []])
    assert list(back[0]) == ["L"]


def test_an_error_is_told_and_the_next_answer_is_read() -> None:
    assert told([HOST], "no", [HOST])[1:] == ["no", [{}, {}, []]]


def test_an_answer_that_cannot_be_read_is_an_error_and_changes_nothing() -> None:
    _, error, after = told([HOST, PAIR], [PAIR | {"bytesSent": 2}, None], [HOST, PAIR])
    assert isinstance(error, str)
    assert after == [{}, {}, []]


@pytest.mark.parametrize("answer", ["closed", "closed, refused"])
def test_nothing_is_told_once_it_is_closed(answer: str) -> None:
    assert len(told([HOST], answer)) == 1
