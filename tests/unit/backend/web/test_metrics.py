"""`GET /metrics`: who may ask, and that dashboards and alerts ask for what there is."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from backend.web.keys import CHAIN
from backend.web.metrics import may_ask
from backend.web.server import Serving
from pyapp.protocol.journal import Journal, JournalEntry
from pyapp.protocol.signaling import Join
from pyapp.protocol.wire import encode

Start = Callable[..., Awaitable[Serving]]
DEPLOY = Path(__file__).parents[4] / "deploy"


def config(folder: Path, text: str) -> Path:
    path = folder / "ice.toml"
    path.write_text(text, encoding="utf-8")
    return path


async def figures(http: aiohttp.ClientSession, server: Serving) -> dict[str, float]:
    """Return the samples without labels, and those with as `name{label,…}`."""
    async with http.get(f"{server.address}metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        sample.name + (f"{{{','.join(sample.labels.values())}}}" if sample.labels else ""): sample.value
        for sample in samples
    }


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("198.51.100.1", False),
        ("::1", False),
        ("", False),
        ("what", False),
    ],
)
def test_who_may_ask(address: str, may: bool) -> None:
    assert may_ask(address, [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]) == may


async def test_nobody_may_ask_unless_the_file_says_so(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    async with http.get(f"{server.address}metrics") as response:
        assert response.status == 403
        assert "[access] metrics" in await response.text()


async def test_a_proxy_of_ours_does_not_let_the_world_in(
    start: Start, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    text = '[access]\nproxies = ["127.0.0.1"]\nmetrics = ["127.0.0.0/8"]\n'
    server = await start(config=config(tmp_path, text))
    headers = {"X-Forwarded-For": "203.0.113.9"}
    async with http.get(f"{server.address}metrics", headers=headers) as response:
        assert response.status == 403
    async with http.get(f"{server.address}metrics") as response:
        assert response.status == 200


async def test_what_happens_is_counted(start: Start, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    text = '[access]\nmetrics = ["127.0.0.1"]\n[[server]]\nurls = ["turn:t.example"]\nsecret = "s"\n'
    server = await start(config=config(tmp_path, text))
    async with http.get(f"{server.address}ice?session=one") as response:
        assert response.status == 200
    server.app[CHAIN].watch.health.keep(["turn:t.example"])
    async with http.ws_connect(f"{server.address}ws") as socket:
        await socket.send_str(encode(Join(session="one", participant="a" * 32, key="b" * 32)))
        await socket.receive_str()
        failed = JournalEntry(1, 0.0, "candidate-error", {"url": "turn:t.example:3478?transport=udp", "code": 401})
        await socket.send_str(encode(Journal((failed,))))
        await socket.receive_str()
        await socket.send_str("nonsense")
        await socket.receive_str()
        there = await figures(http, server)
    assert there["ice_console_sessions"] == 1
    assert there["ice_console_participants"] == 1
    assert there["ice_console_sockets"] == 1
    assert there["ice_console_joins_total{joined}"] == 1
    assert there["ice_console_refusals_total{malformed}"] == 1
    assert there["ice_console_ice_errors_total{401,t.example}"] == 1
    assert there["ice_console_ice_url_up{turn:t.example}"] == 1
    assert not any("one" in name.replace("console", "") for name in there)


def queries(file: str) -> list[str]:
    """Return the PromQL in a file of `deploy/`."""
    text = (DEPLOY / file).read_text(encoding="utf-8")
    if file.endswith(".json"):
        return [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    return [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def selected(expression: promql_parser.Expr) -> Iterator[str]:
    """Return the names of the metrics that an expression asks for."""
    match expression:
        case promql_parser.VectorSelector(name=str(name)):
            yield name
        case promql_parser.MatrixSelector(vector_selector=selector):
            yield from selected(selector)
        case promql_parser.BinaryExpr(lhs=left, rhs=right):
            yield from (*selected(left), *selected(right))
        case promql_parser.Call(args=arguments):
            for argument in arguments:
                yield from selected(argument)
        case promql_parser.AggregateExpr(expr=inner) | promql_parser.ParenExpr(expr=inner):
            yield from selected(inner)
        case promql_parser.NumberLiteral():
            pass
        case _:
            raise AssertionError(f"{type(expression).__name__} is not looked into")


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml"])
async def test_dashboards_and_alerts_ask_for_what_there_is(
    file: str, start: Start, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    server = await start(config=config(tmp_path, '[access]\nmetrics = ["127.0.0.1"]\n'))
    async with http.get(f"{server.address}metrics") as response:
        text = await response.text()
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    there = {name + suffix for name, kind in families.items() for suffix in suffixes.get(kind, ())}
    asked = {name for query in queries(file) for name in selected(promql_parser.parse(query))}
    assert asked
    assert asked <= there | {"up"}  # Prometheus' own: whether it got an answer


def test_alert_rules_are_what_prometheus_reads() -> None:
    document = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))
    assert list(document) == ["groups"]
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        summary = rule["annotations"]["summary"]
        told = set(re.findall(r"\$labels\.(\w+)", summary))
        by = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        plain = {"ice_console_ice_url_up == 0": {"url"}, "ice_console_provider_up == 0": {"provider"}}
        assert told <= by | plain.get(rule["expr"], set()), "the alert has the labels that it names"
        assert summary.count("{{") == summary.count("}}")


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    assert dashboard["title"] == "ICE Console"
    assert all(panel["targets"] and panel["description"] for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}) == len(
        dashboard["panels"]
    )
