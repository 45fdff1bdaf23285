"""The few pieces of HTML that a page of ours is made of. Every text that comes in is escaped here."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

# The policy forbids the page to load or run anything: what it shows is in it.
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
"""

# In the dark a plot is turned inside out and its hues back again: its white becomes black, its blue stays blue.
_STYLE = """
:root { --ground: #ffffff; --text: #1c1c1c; --soft: #5a5a5a; --line: #d0d0d0; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141414; --text: #ececec; --soft: #a8a8a8; --line: #3c3c3c; }
  img.plot { filter: invert(0.92) hue-rotate(180deg); }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 75rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.headline { font-size: 2.2rem; margin: 0.5rem 0 0; } .soft, figcaption { color: var(--soft); }
img { max-width: 100%; height: auto; } figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
.scroll { overflow-x: auto; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page that loads nothing from elsewhere, light or dark as the reader's screen is."""
    return (
        f"{_HEAD}<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of the style class `kind`."""
    return f'<p class="{escape(kind)}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers to the right with four decimals at most, NaN and None as a dash."""
    rows = [list(row) for row in rows]
    numeric = [all(_is_number(row[column]) for row in rows) for column in range(len(head))]

    def line(tag: str, values: Sequence[Any]) -> str:
        cells = zip(values, numeric, strict=True)
        return (
            "<tr>" + "".join(f"<{tag}{_kind(number)}>{escape(shown(cell))}</{tag}>" for cell, number in cells) + "</tr>"
        )

    body = "".join(line("td", row) for row in rows)
    return f'<div class="scroll"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def picture(png: bytes, caption: str, alt: str, kind: str = "plot") -> str:
    """An inline PNG. Kind `plot` may be turned to dark colours, `photo` never."""
    data = base64.b64encode(png).decode("ascii")
    image = f'<img class="{escape(kind)}" alt="{escape(alt)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def shown(value: Any) -> str:
    """A value as a reader wants it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"  # noqa: RUF001
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _kind(number: bool) -> str:
    return ' class="number"' if number else ""
