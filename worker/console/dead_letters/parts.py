"""What the pages of dead letters and of the trail share, beside the context of all pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from worker.console.context import ConsoleContext
from worker.console.dead_letters.asked import Asked
from worker.console.dead_letters.inventory_reader import InventoryReader
from worker.console.dead_letters.letter_acts import LetterActs
from worker.console.dead_letters.tickets import Tickets
from worker.console.trail_writer import Trail

_MOST_PREVIEWS: Final = 50
"""That may be confirmed. One of 50,000 letters has some 6 MB."""


@dataclass(frozen=True, slots=True)
class Letters:
    """What the pages of dead letters and of the trail share: `previews` are tickets of acts that
    were previewed, `reveals` of letters by their ids.
    """

    trail: Trail
    acts: LetterActs
    inventory: InventoryReader
    previews: Tickets[Asked]
    reveals: Tickets[str]

    async def close(self) -> None:
        """End acts on dead letters that run, and write what is not on record yet."""
        await self.acts.close()
        await self.inventory.close()
        await self.trail.close()


LETTERS: Final = web.AppKey("letters", Letters)


def build_letters(context: ConsoleContext) -> Letters:
    """All that the pages of dead letters and of the trail share, for one console."""
    trail = Trail(context.settings, context.now_ms)
    acts = LetterActs(context, trail)
    inventory = InventoryReader(context, lambda: acts.running is not None)
    previews: Tickets[Asked] = Tickets(context.now_ms, _MOST_PREVIEWS)
    return Letters(trail, acts, inventory, previews, Tickets(context.now_ms))


async def close_letters(app: web.Application) -> None:
    """End acts on dead letters at the end of the console."""
    await app[LETTERS].close()
