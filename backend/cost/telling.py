"""From the relay meter to the pages: each is told what relays cost, and what their budget allows, when that changes."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass

from backend.cost.accounts import Accounts
from backend.cost.budget import Budget
from backend.cost.prices import Prices
from backend.journal.relayed import Relayed
from backend.journal.writer import Journal
from backend.signaling.connections import FREE
from backend.signaling.endpoint import Signaling
from pyapp.protocol.signaling import Cost

_log = logging.getLogger("ice_console.cost")

ANOTHER_DAY_WITHIN = 10.0
"""Seconds after which a new day's budget is in force, though nobody relays."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Use as `async with telling.running()`, while the journal runs."""

    accounts: Accounts
    journal: Journal
    signaling: Signaling

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Telling"]:
        """Tell pages in the background."""
        self.signaling.cost_for = self._cost
        self.journal.on_relayed = self._relayed
        await self._look()
        watching = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def configure(self, prices: Prices, budget: Budget) -> None:
        """Use these from now on."""
        self.accounts.configure(prices, budget)
        await self._look()
        self.signaling.tell_cost()

    async def _look(self) -> None:
        """Learn what was relayed in this month so far, if there are prices or a budget."""
        if self.accounts.are_kept:
            try:
                self.accounts.relayed(await self.journal.relayed())
            except (sqlite3.Error, OSError) as error:
                _log.error("! what was relayed so far is not known, the record cannot be read: %s", error)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(ANOTHER_DAY_WITHIN)
            if self.accounts.are_kept and self.accounts.have_changed():
                self.signaling.tell_cost()

    def _relayed(self, latest: Relayed) -> None:
        concerns_all = self.accounts.relayed(latest)
        if self.accounts.are_kept:
            self.signaling.tell_cost(None if concerns_all else latest.sessions)

    def _cost(self, session: str, is_operator: bool) -> Cost:
        return self.accounts.cost(session, is_operator=is_operator) if self.accounts.are_kept else FREE
