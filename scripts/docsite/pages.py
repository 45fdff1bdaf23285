"""Which pages the site has beyond those in `docs/`: files of the repository that it takes over, and the reference."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from docsite import clicks, settings

ADOPTED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "licence.md",
    "conf/local/README.md": "local-settings.md",
    "data/README.md": "data-folders.md",
}
"""Files of the repository outside `docs/` that are pages of the site, and their places there."""


class Page(NamedTuple):
    """A page that is made when the site is built.

    Attributes:
        place: The file that it is made from, or, for what is made from code, where it would stand in `docs/`.
        text: Its Markdown, with links relative to `place`.
    """

    place: str
    text: str


def made(root: Path) -> dict[str, Page]:
    """Every such page by its place on the site.

    Args:
        root: The checkout.
    """
    pages = {where: Page(name, _adopted(root / name)) for name, where in ADOPTED.items()}
    pages["index.md"] = Page("README.md", f"---\nhide: [navigation]\n---\n\n{pages['index.md'].text}")
    for book in sorted((root / "notebooks").glob("*.ipynb")):
        pages[f"notebooks/{book.stem}.md"] = Page(f"notebooks/{book.name}", notebook(book))
    reference = {f"config/{name}": text for name, text in settings.pages(root / "conf").items()}
    reference["commands.md"] = clicks.page(root / "Makefile")
    return pages | {f"reference/{name}": Page(f"docs/reference/{name}", text) for name, text in reference.items()}


def notebook(path: Path) -> str:
    """A notebook as Markdown: its text as it is, its code as blocks, and how to run it below its heading."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).rstrip("\n")
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    note = f"This is `notebooks/{path.name}`; open it in Jupyter or an editor that runs notebooks to see what it draws."
    return "\n\n".join([*parts[:1], note, *parts[1:]]) + "\n"


def expanded(nav: list[Any], places: list[str]) -> list[Any]:
    """The navigation with each `*` replaced by the pages that it stands for, `index.md` and `README.md` first.

    Args:
        nav: As in `mkdocs.yml`.
        places: All pages of the site.
    """

    def pages_of(pattern: str) -> list[str]:
        found = [place for place in places if fnmatch(place, pattern)]
        return sorted(found, key=lambda place: (Path(place).name not in ("index.md", "README.md"), place))

    entries: list[Any] = []
    for entry in nav:
        if isinstance(entry, dict):
            ((title, inside),) = entry.items()
            inner = [inside] if isinstance(inside, str) and "*" in inside else inside
            entries.append({title: expanded(inner, places) if isinstance(inner, list) else inner})
        elif "*" in entry:
            entries += pages_of(entry)
        else:
            entries.append(entry)
    return entries


def listed(nav: list[Any]) -> list[str]:
    """All pages of a navigation, in order."""
    found: list[str] = []
    for entry in nav:
        inside = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found += listed(inside) if isinstance(inside, list) else [inside]
    return found


def _adopted(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".md" else f"# {path.name.title()}\n\n```text\n{text.rstrip()}\n```\n"
