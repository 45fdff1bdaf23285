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
:root { --ground: #ffffff; --text: #1c1c1c; --soft: #5a5a5a; --line: #d0d0d0;
  --first: #0072b2; --second: #d55e00; --third: #009e73; --rest: #999999; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141414; --text: #ececec; --soft: #a8a8a8; --line: #3c3c3c;
    --first: #56a5e0; --second: #f0803c; --third: #2fbf95; --rest: #777777; }
  img.plot { filter: invert(0.92) hue-rotate(180deg); }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 75rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.headline { font-size: 2.2rem; margin: 0.5rem 0 0; } .soft, figcaption { color: var(--soft); }
img { max-width: 100%; height: auto; } figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0; border-bottom: 1px solid var(--line); }
/* In a narrow window a table scrolls; its words and numbers stay whole. */
th, td { overflow-wrap: break-word; } td.number, th.number { text-align: right; white-space: nowrap; }
.scroll { overflow-x: auto; }
img.photo { margin: 0 0.25rem 0.25rem 0; vertical-align: top; } img.pixels { image-rendering: pixelated; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; margin: 1rem 0; }
.gallery figure { margin: 0; max-width: 18rem; } .gallery figcaption, figcaption.small { font-size: 0.8rem; }
.row { display: block; margin: 0 0 0.75rem 0; }
pre { margin: 0 0 0.25rem; padding: 0.5rem; border: 1px solid var(--line); font-size: 0.7rem; line-height: 1.35;
  width: max-content; max-width: 100%; overflow-x: auto; }
summary { cursor: pointer; margin: 0.75rem 0; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.bar { display: flex; height: 0.8rem; margin-top: 0.35rem; width: 16rem; } .bar span { display: block; height: 100%; }
.first { background: var(--first); fill: var(--first); } .second { background: var(--second); fill: var(--second); }
.third { background: var(--third); fill: var(--third); } .rest { background: var(--rest); fill: var(--rest); }
.key { display: inline-block; width: 0.8rem; height: 0.8rem; margin: 0 0.35rem 0 1rem; vertical-align: -0.05rem; }
.key:first-child { margin-left: 0; }
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
    return figure([image(png, alt, kind)], [caption])


def image(data: bytes, alt: str, kind: str = "photo", size: tuple[int, int] | None = None) -> str:
    """An inline PNG or JPEG.

    Args:
        data: The file.
        alt: What it shows, for those who cannot see it.
        kind: Style classes.
        size: Width and height at which it is shown, in pixels; None: its own.
    """
    form = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    shape = f' width="{size[0]}" height="{size[1]}"' if size else ""
    code = base64.b64encode(data).decode("ascii")
    return f'<img class="{escape(kind)}" alt="{escape(alt)}"{shape} src="data:image/{form};base64,{code}">'


def figure(parts: Iterable[str], caption: Iterable[str], kind: str = "") -> str:
    """Markup side by side, over a caption of one or more lines of plain text."""
    style = f' class="{escape(kind)}"' if kind else ""
    lines = "<br>".join(map(escape, caption))
    return f"<figure{style}>{''.join(parts)}<figcaption>{lines}</figcaption></figure>"


def gallery(figures: Iterable[str]) -> str:
    """Figures side by side, as many as fit in a row."""
    return f'<div class="gallery">{"".join(figures)}</div>'


def listing(text: str) -> str:
    """Text with its line ends, in letters of one width."""
    return f"<pre>{escape(text)}</pre>"


def details(summary: str, body: Iterable[str]) -> str:
    """What a reader unfolds."""
    return f"<details><summary>{escape(summary)}</summary>{''.join(body)}</details>"


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
