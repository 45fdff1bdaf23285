"""What mkdocs calls while it builds the site: pages are added, and links of the repository turned into the site's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from docsite import links, pages

ROOT = Path(__file__).resolve().parents[1]


def on_config(config: Any) -> Any:
    """Makes the pages, which the navigation has to know."""
    config.extra["made"] = pages.made(ROOT)
    docs = Path(config.docs_dir)
    places = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    config.nav = pages.expanded(config.nav, [*places, *config.extra["made"]])
    config.mdx_configs["toc"]["slugify"] = lambda heading, separator: links.slug(heading)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages to those of `docs/`."""
    here = {f"docs/{file.src_uri}": file.src_uri for file in files}
    for uri, page in config.extra["made"].items():
        files.append(File.generated(config, uri, content=page.text))
        here[page.place] = uri
    config.extra["places"] = here
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns the links of every page."""
    here = config.extra["places"]
    place = next(name for name, uri in here.items() if uri == page.file.src_uri)
    return links.for_site(markdown, place, here)
