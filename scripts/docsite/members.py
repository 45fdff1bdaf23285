"""The files of the config groups: what each is for, by its first comment, and its content."""

from __future__ import annotations

from pathlib import Path

from docsite.words import cell
from fovea.config.groups import groups

_COMMAND = "  "
"""Commands in a first comment stand behind two more spaces."""


def member_pages(conf: Path, names: list[str]) -> dict[str, str]:
    """Pages of groups that are no section: presets over several of them."""
    return {
        f"{name}.md": "\n".join(
            [f"# `{name}`", "", "Presets: each sets keys of several sections.", "", *members(conf, name)]
        )
        for name in names
    }


def members(conf: Path, group: str, default: str = "") -> list[str]:
    """The lines of a table of a group's members and, folded up, the content of each file.

    Args:
        conf: The folder of the configuration.
        group: Its name.
        default: The file that a plain run takes, as in ``model/lenet5.yaml``.
    """
    lines = ["| choice | what |", "|---|---|"]
    folded = []
    for name in groups(conf)[group]:
        path = conf / group / f"{name}.yaml"
        note = " (the default)" if default == f"{group}/{name}.yaml" else ""
        lines.append(f"| `{group}={name}`{note} | {cell(' '.join(heading(path)))} |")
        content = path.read_text(encoding="utf-8").rstrip("\n").splitlines()
        folded += ["", f'??? note "`conf/{group}/{name}.yaml`"', "", "    ```yaml"]
        folded += [f"    {line}".rstrip() for line in content] + ["    ```"]
    return [*lines, "", *folded]


def heading(path: Path) -> list[str]:
    """The first comment of a file, a sentence or a command (in backticks) an item.

    Raises:
        LookupError: It has none.
    """
    said: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").removeprefix(" ")
        if text.startswith("@package"):
            continue
        said.append(f"`{text.strip()}`." if text.startswith(_COMMAND) else text)
    if not said:
        raise LookupError(f"{path} has no first comment that says what it is for")
    return said
