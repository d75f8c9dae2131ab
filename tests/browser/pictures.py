"""Pictures of the console's pages for the docs, made where they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from playwright.async_api import Page

ARE_WANTED: Final = "CONSOLE_SHOTS" in os.environ
_SHOTS: Final = Path(__file__).parents[2] / "docs/console"
_DEPLOYED: Final = r"""() => {
    const here = /\/\S*\/integrations(?=\/)/g, there = "/etc/consent-worker/integrations";
    const rename = () => {
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const told = node.data.replace(here, there);
            if (told !== node.data) node.data = told;
        }
    };
    rename();
    const changes = { childList: true, characterData: true, subtree: true };
    new MutationObserver(rename).observe(document.body, changes);
}"""
"""The files of integrations stand where a deployment has them, and not in a folder of the tests;
also after the page has brought itself up to date.
"""


async def picture(page: Page, name: str, look: str) -> None:
    """Takes a picture of a page; of a phone all of it, else what is seen without scrolling."""
    if ARE_WANTED:
        _SHOTS.mkdir(exist_ok=True)
        await page.evaluate(_DEPLOYED)
        await page.screenshot(path=_SHOTS / f"{name}-{look}.png", full_page=look == "phone")
