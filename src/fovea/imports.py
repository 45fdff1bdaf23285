"""Which packages of Fovea a module uses, read from the import statements without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

_NESTED = "pipelines"  # each stage is a package of its own below it


def code_used(package: Path, modules: Iterable[str]) -> list[Path]:
    """The packages and single modules that `modules` need, directly or through each other.

    A package counts as a whole, because its members are often imported by name from a table. Imports inside functions
    count; imports for the type checker alone do not.

    Args:
        package: The folder of the package `fovea`.
        modules: Dotted names to start from, as in ``"fovea.pipelines.train.nodes"``.

    Returns:
        Folders (packages) and files (modules) below `package`, sorted.
    """
    todo = [unit for name in modules for unit in _unit(package, name)]
    found: set[Path] = set()
    while todo:
        unit = todo.pop()
        if unit in found:
            continue
        found.add(unit)
        for path in sorted(unit.rglob("*.py")) if unit.is_dir() else [unit]:
            todo += [used for name in _imported(path, package) for used in _unit(package, name)]
    return sorted(found)


def _unit(package: Path, name: str) -> Iterator[Path]:
    """The package or module of Fovea that a dotted name belongs to, if it is one of Fovea's."""
    top, *rest = name.split(".")
    if top != package.name or not rest:
        return
    depth = 2 if rest[0] == _NESTED else 1
    unit = package.joinpath(*rest[:depth])
    for path in (unit, unit.with_suffix(".py")):
        if path.exists() and len(rest) >= depth:
            yield path
            return


def _imported(path: Path, package: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    where = path.relative_to(package.parent).with_suffix("").parts
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*(where[: -node.level] if node.level else ()), *(node.module.split(".") if node.module else ())]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` but those under `if TYPE_CHECKING:`."""
    skipped = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield child
            yield from _executed(child)
