"""Links that lead to the right place both on the repository's pages and on the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

_FENCE = re.compile(r"\s*(```+|~~~+)")
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^()\s]+)(\))")
_CODE = re.compile(r"(`+)(?:.|\n)+?\1")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def targets(markdown: str) -> list[str]:
    """The targets of a page's links and pictures that are no addresses; those in code are none."""
    found: list[str] = []

    def note(target: str) -> str:
        found.append(target)
        return target

    _replace(markdown, note)
    return found


def for_site(markdown: str, place: str, pages: Mapping[str, str]) -> str:
    """Turns a page's links, which are relative to its place in the repository, into the site's.

    Args:
        markdown: The page.
        place: Its path in the repository, as in ``docs/data.md`` or ``README.md``.
        pages: Where each file of the repository that is on the site stands there, as in ``{"README.md": "index.md"}``.
            A link to anything else stays as it is, so that a strict build names it.
    """
    here = posixpath.dirname(pages[place])

    def turned(target: str) -> str:
        path, mark, anchor = target.partition("#")
        if not path:
            return target
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
        for name in (meant, f"{meant}/README.md"):
            if name in pages:
                return posixpath.relpath(pages[name], here or ".") + mark + anchor
        return target

    return _replace(markdown, turned)


def anchors(markdown: str) -> set[str]:
    """The anchors of a page's headings."""
    lines = [line for part, is_text in segments(markdown) if is_text for line in part.splitlines()]
    return {slug(line.lstrip("#")) for line in lines if re.match(r"#{1,6} ", line)}


def slug(heading: str) -> str:
    """The anchor of a heading, as the repository's pages make it and as the site is told to."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def segments(markdown: str) -> Iterator[tuple[str, bool]]:
    """The parts of a page in order, each with whether it is text and no fenced block; joined by newlines, the page."""
    part: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            yield "\n".join(part), True
            part, fence = [line], mark.group(1)
        elif mark and fence and line.strip() == fence:
            yield "\n".join([*part, line]), False
            part, fence = [], ""
        else:
            part.append(line)
    yield "\n".join(part), not fence


def _replace(markdown: str, turned: Callable[[str], str]) -> str:
    """The page with each target of a link in its text replaced."""
    parts = []
    for part, is_text in segments(markdown):
        codes = [match.span() for match in _CODE.finditer(part)] if is_text else []

        def link(match: re.Match[str], codes: list[tuple[int, int]] = codes) -> str:
            is_code = any(start <= match.start() and match.end() <= end for start, end in codes)
            keep = is_code or _ELSEWHERE.match(match.group(2))
            return match.group(0) if keep else f"{match.group(1)}{turned(match.group(2))}{match.group(3)}"

        parts.append(_LINK.sub(link, part) if is_text else part)
    return "\n".join(parts)
