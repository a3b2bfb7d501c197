"""Money: by entry of the configuration, what is free of it spread over the month."""

import pytest

from backend.cost.prices import GB, Prices, Tariff

EU, US, OWN = "eu.example", "us.example", "own.example"


def test_without_prices_there_is_no_money() -> None:
    assert Prices().of_month({EU: GB}) is None


def test_hosts_of_an_entry_share_what_is_free() -> None:
    prices = Prices((Tariff(0.5, 10, frozenset({EU, US})),))
    assert prices.of_month({EU: 6 * GB, US: 3 * GB}) == 0
    assert prices.of_month({EU: 9 * GB, US: 3 * GB, OWN: 99 * GB}) == 1.0


def test_the_sessions_of_a_month_cost_together_what_the_month_does() -> None:
    prices = Prices((Tariff(0.5, 10, frozenset({EU})), Tariff(0.1, 0, frozenset({US}))))
    month = {EU: 16 * GB, US: 10 * GB}
    parts = [{EU: 4 * GB, US: 10 * GB}, {EU: 12 * GB}, {}]
    costs = [prices.of_part(part, month) for part in parts]
    assert costs == pytest.approx([1.75, 2.25, 0])
    assert prices.of_month(month) == pytest.approx(4.0)


def test_a_provider_s_hosts_are_those_that_it_names() -> None:
    prices = Prices((Tariff(1.0, provider="cloudflare"), Tariff(2.0, hosts=frozenset({OWN}))))
    assert prices.of_month({EU: GB, OWN: GB}) == 2.0
    assert prices.with_hosts({"cloudflare": frozenset({EU})}).of_month({EU: GB, OWN: GB}) == 3.0
