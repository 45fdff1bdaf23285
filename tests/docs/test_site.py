"""The documentation site: every page is reached, every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docsite import lines, links, members, pages, settings, words
from fovea.cli import COMMANDS
from fovea.config.compose import compose
from fovea.config.groups import groups
from fovea.config.schema.base import Section

PROJECT = Path(__file__).resolve().parents[2]
PAGES = {path.relative_to(PROJECT).as_posix(): path.read_text() for path in lines.pages(PROJECT)}
_OURS = re.compile(r"^(src|tests|conf|docs|scripts|benchmarks|notebooks)/[\w./-]+$")


@pytest.fixture(scope="module")
def made() -> dict[str, pages.Page]:
    return pages.made(PROJECT)


def test_every_page_is_in_the_navigation(made: dict[str, pages.Page]) -> None:
    nav = yaml.safe_load((PROJECT / "mkdocs.yml").read_text())["nav"]
    places = [path.relative_to(PROJECT / "docs").as_posix() for path in (PROJECT / "docs").rglob("*.md")] + list(made)
    listed = pages.listed(pages.expanded(nav, places))
    assert sorted(listed) == sorted(places)


def test_a_star_stands_for_pages_with_the_index_first() -> None:
    nav = [{"A": "one.md"}, {"B": "more/*"}, {"C": ["x.md", {"D": "more/b*"}]}]
    there = ["one.md", "x.md", "more/a.md", "more/b.md", "more/index.md"]
    assert pages.expanded(nav, there) == [
        {"A": "one.md"},
        {"B": ["more/index.md", "more/a.md", "more/b.md"]},
        {"C": ["x.md", {"D": ["more/b.md"]}]},
    ]


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_repository_lead_to_files_and_headings(page: str) -> None:
    for target in links.targets(PAGES[page]):
        path, _, anchor = target.partition("#")
        meant = (PROJECT / page).parent / path if path else PROJECT / page
        assert meant.exists(), target
        if anchor:
            assert anchor in links.anchors(meant.read_text()), target


@pytest.mark.parametrize("page", PAGES)
def test_files_and_tests_that_a_page_names_are_there(page: str) -> None:
    for code in re.findall(r"`([^`\n]+)`", PAGES[page]):
        path, _, name = code.partition("::")
        if _OURS.match(path) and "conf/local/" not in path and not re.search("NAME|GROUP|/mine", path):
            assert (PROJECT / path).exists(), code
        if name:
            assert re.search(rf"^def {name}\(", (PROJECT / path).read_text(), re.MULTILINE), code


def test_links_are_turned_into_those_of_the_site() -> None:
    here = {
        "README.md": "index.md",
        "docs/a.md": "a.md",
        "docs/b/README.md": "b/README.md",
        "data/README.md": "data.md",
    }
    text = "[a](docs/a.md#x) `[no](docs/a.md)` [b\nc](docs/b) [d](https://x.org/docs/a.md) [e](src/x.py)\n"
    fenced = "```\n[f](docs/a.md)\n```\n"
    assert links.for_site(text + fenced, "README.md", here) == (
        "[a](a.md#x) `[no](docs/a.md)` [b\nc](b/README.md) [d](https://x.org/docs/a.md) [e](src/x.py)\n" + fenced
    )
    assert links.for_site("[up](../../data/README.md) ![p](../a.md)", "docs/b/README.md", here) == (
        "[up](../data.md) ![p](../a.md)"
    )


def test_anchors_are_those_of_headings() -> None:
    assert links.anchors("# How to add...\n```\n# no heading\n```\n## `kedro find-lr`, and [more](x)\n") == {
        "how-to-add",
        "kedro-find-lr-and-more",
    }


def test_every_key_of_the_configuration_has_its_row(made: dict[str, pages.Page]) -> None:
    config = compose(PROJECT / "conf").config

    def leaves(tree: dict[str, object], prefix: str) -> list[str]:
        found = []
        for name, value in tree.items():
            key = f"{prefix}{name}"
            found += leaves(value, f"{key}.") if isinstance(value, dict) and value else [key]
        return found

    for section in sorted(set(config) - {"seed"}):
        text = made[f"reference/config/{section}.md"].text
        rows = {key for key in leaves(config[section], f"{section}.") if f"| `{key}` |" not in text}
        assert rows <= {f"{section}.name"}, f"{rows} are not in the reference"


def test_a_row_says_kind_default_and_meaning(made: dict[str, pages.Page]) -> None:
    text = made["reference/config/trainer.md"].text
    assert "| `trainer.max_epochs` | whole number from 1 | `20` | Times that every training picture is seen. |" in text
    assert "| `trainer.launch.max_restarts` | whole number from 0 | `3` |" in text
    optimizer = made["reference/config/optimizer.md"].text
    assert "## `optimizer=sgd`" in optimizer
    assert "| `optimizer.momentum` | number from 0 below 1 | `0.9` |" in optimizer


def test_every_member_of_every_group_has_its_row(made: dict[str, pages.Page]) -> None:
    for group, names in groups(PROJECT / "conf").items():
        text = made[f"reference/config/{group}.md"].text
        assert [name for name in names if f"| `{group}={name}`" not in text] == []
    assert "(the default)" in made["reference/config/model.md"].text


def test_a_key_of_which_nobody_says_what_it_means_is_refused(tmp_path: Path) -> None:
    class Silent(Section):
        quiet: int

    with pytest.raises(LookupError, match=r"no docstring and no comment in conf/ says what 'x\.quiet' means"):
        list(settings.keys(Silent, {}, "x", {}))
    (tmp_path / "silent.yaml").write_text("a: 1\n")
    with pytest.raises(LookupError, match="has no first comment"):
        members.heading(tmp_path / "silent.yaml")


def test_comments_belong_to_dotted_keys(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text('# head\na: 1 # first\nb: # group\n  c: "#x" # inner\n  d: 2\ne: [] # last # word\n')
    assert settings.comments(path, "s") == {"s.a": "first", "s.b": "group", "s.b.c": "inner", "s.e": "last # word"}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1}, "whole number from 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number above 0 below 1"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "`a` or `b`, or `null`"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, "list of at least 2: `true` or `false`"),
        ({"type": "string", "pattern": "^n[0-9]{8}$"}, "a WordNet id, as in n01440764"),
    ],
)
def test_schemas_in_words(schema: dict[str, object], said: str) -> None:
    assert words.kind(schema) == said


def test_every_command_has_its_section(made: dict[str, pages.Page]) -> None:
    text = made["reference/commands.md"].text
    ours = [name for name, where in COMMANDS.items() if where.startswith("fovea.")]
    assert [name for name in ours if f"\n## `kedro {name}`" not in text] == []
    assert "\n### `kedro submit slurm`" in text
    assert "| `--fresh` | Start training over" in text


@pytest.mark.slow
def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", tmp_path / "site"],
        cwd=PROJECT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    html = {path: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    assert len(html) > 50
    loading = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^>]*>")
    assert {path.name: found for path, text in html.items() if (found := loading.findall(text))} == {}
    css = "".join(path.read_text() for path in (tmp_path / "site").rglob("*.css"))
    assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;", css) == []
    assert "trainer.max_epochs" in (tmp_path / "site/search/search_index.js").read_text()
    home = html[tmp_path / "site/index.html"]
    assert 'href="recipes.html"' in home
    assert 'href="docs/' not in home
