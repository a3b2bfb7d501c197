"""Prices and `[budget]` in the configuration file: what is read, and what each mistake is called."""

from pathlib import Path

import pytest

from backend.cost.budget import Allowance
from backend.cost.prices import Tariff
from backend.ice.ice_servers import ConfiguredIce, read_ice_servers
from backend.settings import StartError

TURN = '[[server]]\nname = "eu"\nurls = ["turn:eu.example", "stun:eu.example"]\nusername = "u"\ncredential = "c"\n'
PRICED = f"{TURN}price_per_gb = 0.05\n"


def read(folder: Path, text: str) -> ConfiguredIce:
    (folder / "ice.toml").write_text(text)
    return read_ice_servers(folder / "ice.toml", environ={"TOKEN": "t"})


def test_prices_belong_to_servers_and_providers(tmp_path: Path) -> None:
    provider = (
        '[[provider]]\nkind = "cloudflare"\nkey_id = "k"\ntoken_env = "TOKEN"\nprice_per_gb = 0.04\nfree_gb = 1000\n'
    )
    prices = read(tmp_path, PRICED + provider).prices
    assert prices.tariffs == (
        Tariff(0.05, 0.0, frozenset({"eu.example"})),
        Tariff(0.04, 1000.0, provider="cloudflare"),
    )
    assert prices.currency == "USD"


def test_a_budget_has_allowances_steps_and_names(tmp_path: Path) -> None:
    budget = """
[budget]
currency = "EUR"
session_gb = 2
month_gb = 500
month_cost = 25.0
warn = 0.5
video = 200
sessions = ["Support", "demo"]
"""
    configured = read(tmp_path, PRICED + budget)
    assert configured.prices.currency == "EUR"
    found = configured.budget
    assert found.allowances == {"session": Allowance(2.0), "day": Allowance(), "month": Allowance(500.0, 25.0)}
    assert found.steps == {"warn": 0.5, "lower": 0.8, "direct": 0.9, "stop": 1.0}
    assert (found.video, found.sessions) == (200, frozenset({"support", "demo"}))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f'{TURN}price_per_gb = "cheap"', '[[server]] 1 "eu": price_per_gb: must be a number from 0'),
        (f"{TURN}price_per_gb = -1", '[[server]] 1 "eu": price_per_gb: must be a number from 0'),
        (f"{TURN}price_per_gb = nan", '[[server]] 1 "eu": price_per_gb: must be a number from 0'),
        (f"{TURN}free_gb = 5", '[[server]] 1 "eu": free_gb: without price_per_gb'),
        (
            '[[server]]\nurls = ["stun:s.example"]\nprice_per_gb = 1',
            "[[server]] 1: price_per_gb: only a TURN server relays",
        ),
        (
            f"{PRICED}{PRICED.replace('eu.example', 'eu.example:443')}",
            '[[server]] 2 "eu": price_per_gb: eu.example has the price of [[server]] 1 "eu" already',
        ),
        ("budget = 5", "'budget' must be written as [budget]"),
        ("[budget]\nweek_gb = 5", "[budget]: unknown key 'week_gb'; known are currency, session_gb"),
        ("[budget]\nday_gb = true", "[budget] day_gb: must be a number from 0"),
        ("[budget]\nday_gb = 0", "[budget] day_gb: must be above 0"),
        ("[budget]\nday_cost = 5", "[budget] day_cost: no [[server]] and no [[provider]] has a price_per_gb"),
        ('[budget]\ncurrency = "Euro"', "[budget] currency: must be a code of ISO 4217, such as 'EUR'"),
        ("[budget]\nwarn = 0.95", "[budget] warn, lower, direct, stop: must be shares of the budget above 0"),
        ("[budget]\nwarn = 0", "[budget] warn, lower, direct, stop: must be shares of the budget above 0"),
        ("[budget]\nvideo = 10", "[budget] video: must be a whole number of kbit/s, from 50 to 100000"),
        ('[budget]\nsessions = "all"', "[budget] sessions: must be a list of texts"),
        ('[budget]\nsessions = ["a/b"]', "[budget] sessions: each must be a session's name, which has "),
    ],
)
def test_each_mistake_names_its_field_and_its_rule(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(StartError) as caught:
        read(tmp_path, text)
    assert str(caught.value).splitlines()[0].startswith(f"{tmp_path / 'ice.toml'}: {rule}")
