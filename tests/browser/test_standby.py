"""The standby in real Chromium: it opens beside a relayed connection, and ends with it. Its worth is for the lab."""

from pathlib import Path

from tests.browser.conftest import OpenPage, StartConsole, TurnServer, wait_until


def test_is_ready_at_both_ends_and_ends_with_the_session(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    config = tmp_path / "ice.toml"
    urls = [turn_server.url("udp", host) for host in ("127.0.0.1", "127.0.0.2")]
    entries = [f'[[server]]\nurls = ["{url}"]\nsecret = "{turn_server.secret}"' for url in urls]
    config.write_text("\n".join(["standby = true", "checks = false", *entries, ""]))
    console = start_console("--config", str(config))
    first, second = (open_page(f"{console.address}?session=standby&policy=relay") for _ in range(2))
    for operator, state in ((first, "waiting"), (second, "connected")):
        operator.connect()
        operator.expect_state(state)

    def standbys() -> dict[str, tuple[bool, str]]:
        """Return by participant whether it has one now, which need not be its first, and at which host."""
        noted = [entry for entry in console.entries("standby") if entry["event"] == "standby"]
        return {entry["participant"]: (entry["data"]["open"], entry["data"]["host"]) for entry in noted}

    def have_one() -> bool:
        found = standbys()
        return len(found) == 2 and len(set(found.values())) == 1 and all(is_open for is_open, _ in found.values())

    wait_until(have_one, "both ends have a standby, at one host")
    first.page.locator("#hangup").click()
    second.expect_state("waiting")
    wait_until(lambda: not any(is_open for is_open, _ in standbys().values()), "both ends have closed their own")
