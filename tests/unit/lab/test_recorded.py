"""What the grid makes of an account, beside the paths by `getStats`: without a lab."""

from __future__ import annotations

import pytest

from tests.lab.expect import Leg
from tests.lab.judge import Found
from tests.lab.recorded import misjudged

_HOST = Found(local="host", remote="host")
_DIRECT = Found(local="srflx", remote="srflx")
_UDP = Found(local="relay", remote="prflx", leg=Leg.UDP)
_OTHERS = Found(local="srflx", remote="relay")
_BOTH = (Found(local="relay", remote="relay", leg=Leg.TLS), Found(local="relay", remote="relay", leg=Leg.UDP))
_RELAYED = "Connected after 0.3 s through turn1.lab over UDP, because no direct path worked."
_TWO = "Connected after 0.3 s through turn1.lab over TLS and turn2.lab over UDP, because the network of Ada blocks UDP."
_WANTED = "Connected after 0.3 s through turn1.lab over TLS and turn2.lab over UDP, because only relays were allowed."


@pytest.mark.parametrize(
    ("account", "ends"),
    [
        ([("connected-lan", "Connected, directly, within one network.")], (_HOST, _HOST)),
        ([("connected-direct", "Connected, directly.")], (_HOST, _HOST)),
        ([("connected-relay", _RELAYED), ("became-direct", "")], (_DIRECT, _DIRECT)),
        ([("connected-relay", _RELAYED)], (_UDP, _OTHERS)),
        ([("connected-relay", _RELAYED)], (_OTHERS, _OTHERS)),
        ([("connected-relay", _TWO)], _BOTH),
        ([("connected-relay", _WANTED)], _BOTH),
    ],
)
def test_an_account_that_is_right(account: list[tuple[str, str]], ends: tuple[Found, Found]) -> None:
    assert misjudged(account, ends) == []


@pytest.mark.parametrize(
    ("account", "ends"),
    [
        ([], (_HOST, _HOST)),
        ([("connected-lan", "Connected, directly, within one network.")], (_DIRECT, _DIRECT)),
        ([("connected-direct", "Connected, directly.")], (_UDP, _OTHERS)),
        ([("connected-relay", _RELAYED)], (_DIRECT, _DIRECT)),
        ([("connected-relay", _RELAYED.replace("UDP", "TLS"))], (_UDP, _OTHERS)),
        ([("connected-relay", _RELAYED)], _BOTH),
        ([("connected-relay", _TWO.replace("the network of Ada blocks UDP", "no direct path worked"))], _BOTH),
        (
            [("connected-relay", _RELAYED.replace("no direct path worked", "the network of Ada blocks UDP"))],
            (_UDP, _OTHERS),
        ),
        ([("connected-direct", "Connected, directly."), ("outage", "")], (_DIRECT, _DIRECT)),
    ],
)
def test_an_account_that_is_wrong(account: list[tuple[str, str]], ends: tuple[Found, Found]) -> None:
    assert len(misjudged(account, ends)) == 1
