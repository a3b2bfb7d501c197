"""The entries of `getStats()`, as they are put together from what has changed."""

import json
from typing import Any

import pytest

from pyapp.browser.stats import merged

HOST: dict[str, Any] = {"type": "local-candidate", "port": 1}
PAIR: dict[str, Any] = {"type": "candidate-pair", "bytesSent": 1, "state": "succeeded"}


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ([{}, {}, []], {"L": HOST, "P": PAIR}),
        ([{"N": HOST}, {}, []], {"L": HOST, "P": PAIR, "N": HOST}),
        ([{"P": {"type": "candidate-pair"}}, {}, []], {"L": HOST, "P": {"type": "candidate-pair"}}),
        ([{}, {"P": {"bytesSent": 2}}, []], {"L": HOST, "P": PAIR | {"bytesSent": 2}}),
        ([{}, {}, ["P"]], {"L": HOST}),
    ],
    ids=["nothing", "a new one", "one that is whole again", "a value", "one that is gone"],
)
def test_what_has_changed_is_merged(changes: Any, after: Any) -> None:
    before = {"L": HOST, "P": PAIR}
    result = merged(before, json.dumps(changes))
    assert result == after
    assert result["L"] is HOST, "an entry that has not changed is the object before"
    assert before == {"L": HOST, "P": PAIR}
