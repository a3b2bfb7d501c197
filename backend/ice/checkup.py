"""`server.py check`: a single check of every provider and every URL of a configuration."""

from dataclasses import dataclass

from backend.ice.chain import Chain
from backend.ice.ice_servers import ConfiguredIce


@dataclass(frozen=True, slots=True)
class Row:
    """The result for `what`, a URL or a provider: `problem`, or empty; `seconds` is the RTT."""

    what: str
    problem: str = ""
    seconds: float | None = None

    def text(self) -> str:
        """Return its line: three tab-separated columns."""
        trip = "" if self.seconds is None else f"{self.seconds * 1000:.0f} ms"
        return f"{'not well' if self.problem else 'well'}\t{self.what}\t{self.problem or trip}"


async def checkup(configured: ConfiguredIce) -> list[Row]:
    """Return a row for each provider and each URL. What providers issue for this is revoked, where they can."""
    chain = Chain(configured, is_live=lambda _holder: False, checks=False)
    async with chain.running():
        await chain.tend()
        rows = [Row(f"provider {one.configured.name}", one.problem) for one in chain.providers]
        checks = await chain.check()
    return rows + [Row(url, found.problem, found.seconds) for url, found in checks.items()]
