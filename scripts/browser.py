"""A headless Chromium that cannot leave this machine: for the tests, the pictures of the docs and a benchmark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
HOST = "127.0.0.1"

# The last one lets no name be looked up: what a page asks of the outside fails here, whoever asks.
_SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {HOST}",
)
_PATIENCE = 240_000.0  # milliseconds that a step may take, on a machine that is busy with other things
_CONTRAST = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const bright = colour => parts(colour).slice(0, 3).map(level => level / 255)
    .map(level => level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4)
    .reduce((sum, level, channel) => sum + level * [0.2126, 0.7152, 0.0722][channel], 0);
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = new Set();
  for (const one of document.body.querySelectorAll('*')) {
    const text = [...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join(' ').trim();
    if (!text || !one.getClientRects().length) continue;
    const style = getComputedStyle(one);
    const colour = one.closest('svg') ? style.fill : style.color;
    const [low, high] = [bright(colour), bright(ground(one))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.add(`${text.slice(0, 40)}: ${ratio.toFixed(1)}`);
  }
  return [...found];
}"""
_AT_HAND = ("data", "blob", "about", "file")


def program() -> str | None:
    """The path of Chromium, or None where there is none. Playwright's own is never fetched."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the block.

    Raises:
        RuntimeError: There is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    path = program()
    if path is None:
        raise RuntimeError(f"none of {', '.join(PROGRAMS)} is installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Window:
    """A page, and what was heard while it was open.

    Attributes:
        page: Playwright's page.
        outside: Addresses beyond 127.0.0.1 that it asked for; none was reached.
        errors: What it wrote to its console as an error, exceptions of its scripts, and answers from 400 on.
    """

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def undecoded(self) -> list[str]:
        """What the pictures show that did not come out as pictures; waits until all are loaded."""
        found: list[str] = self.page.evaluate(
            """async () => {
              const pictures = [...document.images];
              await Promise.all(pictures.map(one => one.decode().catch(() => null)));
              return pictures.filter(one => !one.naturalWidth).map(one => one.alt || one.src.slice(0, 80));
            }"""
        )
        return found

    def faint(self) -> list[str]:
        """Texts that stand out too little from what is behind them: a contrast below 4.5 (WCAG 2.1, 1.4.3)."""
        found: list[str] = self.page.evaluate(_CONTRAST)
        return found

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide


@contextmanager
def window(browser: Browser, width: int = 1440, height: int = 900, *, dark: bool = False) -> Iterator[Window]:
    """An empty page of its own, without memory of other pages.

    Args:
        browser: In which it opens.
        width: In pixels.
        height: In pixels.
        dark: Whether the reader's screen is dark.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(_PATIENCE)
    try:
        one = Window(context.new_page())
        _listen(context, one)
        yield one
    finally:
        context.close()


def is_outside(address: str) -> bool:
    """Whether an address is beyond this machine."""
    parts = urlsplit(address)
    return parts.scheme not in _AT_HAND and parts.hostname != HOST


def _listen(context: BrowserContext, one: Window) -> None:
    def asked(request: Request) -> None:
        if is_outside(request.url):
            one.outside.append(request.url)

    context.on("request", asked)
    context.route(is_outside, lambda route: route.abort())
    page = one.page
    page.on("websocket", lambda socket: one.outside.append(socket.url) if is_outside(socket.url) else None)
    page.on("console", lambda message: one.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: one.errors.append(str(error)))
    page.on(
        "response", lambda answer: one.errors.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
    )
