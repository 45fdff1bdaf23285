"""The commands and overrides that the documentation tells its readers to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docsite.links import segments

PROGRAMS = (
    "kedro",
    "dvc",
    "make",
    "python",
    "mlflow",
    "pip",
    "git",
    "torchrun",
    "srun",
    "sbatch",
    "kubectl",
    "ray",
    "curl",
    "bash",
    "fovea",
    "nvidia-smi",
)
"""What the first word of a command is."""
OPERATORS = ("&&", "||", "|", ";")

_SHELLS = ("", "sh", "console", "bash", "shell")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*$")
_OVERRIDE = re.compile(r"[+~]?[a-z][a-z_0-9]*(\.[A-Za-z_0-9]+)*=\S")
_INNER = re.compile(r"\$\((kedro [^()]*)\)")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


class Command(NamedTuple):
    """One command of a page.

    Attributes:
        place: The page, as in ``docs/data.md``.
        text: As it is written, on one line, without a comment behind it.
        words: The words of a shell, without the variables before the program.
        answer: The first line that a dialogue shows below it; "" where none is shown.
    """

    place: str
    text: str
    words: tuple[str, ...]
    answer: str = ""


def pages(root: Path) -> list[Path]:
    """The pages that hold commands, the README first."""
    others = [root / "CONTRIBUTING.md", root / "conf/local/README.md", root / "data/README.md"]
    return [root / "README.md", *sorted((root / "docs").rglob("*.md")), *others]


def commands(root: Path) -> list[Command]:
    """Every command of the pages and of the comments in `conf/`, once for each page, in order."""
    found: dict[Command, None] = {}
    for path in pages(root):
        place = path.relative_to(root).as_posix()
        for text, answer in _texts(path.read_text(encoding="utf-8")):
            found |= dict.fromkeys(_split(place, text, answer))
    for path in sorted((root / "conf").rglob("*.yaml")):
        said = re.findall(r"#.*?((?:kedro|dvc) (?:run|exp run) [^`\n]+)", path.read_text(encoding="utf-8"))
        for text in said:
            found |= dict.fromkeys(_split(path.relative_to(root).as_posix(), text))
    return list(found)


def overrides(root: Path) -> list[Command]:
    """Every piece of code in a line of text that is one or more overrides alone, as in `model=timm`."""
    found: dict[Command, None] = {}
    for path in pages(root):
        for code in _codes(path.read_text(encoding="utf-8")):
            words = _words(code)
            if words and all(_OVERRIDE.match(word) for word in words):
                found[Command(path.relative_to(root).as_posix(), code, tuple(words))] = None
    return list(found)


def _texts(markdown: str) -> Iterator[tuple[str, str]]:
    """What may be a command: lines of blocks, and code in text; each with the answer that is shown below it."""
    for part, is_text in segments(markdown):
        if is_text:
            indented = [line[4:] for line in part.split("\n") if line.startswith("    ") and line[4:5].isalpha()]
            yield from _typed(indented)
            yield from ((code, "") for code in _codes(part))
        else:
            first, *lines = part.split("\n")
            if first.strip().strip("`~").strip() in _SHELLS:
                yield from _typed(lines[:-1])


def _typed(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The commands of a block: of a dialogue those behind `$`, else all; continued lines in one."""
    is_dialogue = any(line.startswith("$ ") for line in lines)
    whole = ""
    for line, below in zip(lines, [*lines, ""][1:], strict=True):
        if is_dialogue and not whole and not line.startswith("$ "):
            continue
        whole += line.removeprefix("$ ") if not whole else " " + re.sub(r"^> ", "", line).strip()
        if re.search(r"(\\|\|)$", whole):
            whole = whole.removesuffix("\\").rstrip()
        else:
            yield whole, "" if below.startswith("$ ") or not is_dialogue else below
            whole = ""


def _codes(text: str) -> Iterator[str]:
    for part, is_text in segments(text):
        if is_text:
            yield from (" ".join(code.split()) for code in _CODE.findall(part))


def _split(place: str, text: str, answer: str = "") -> Iterator[Command]:
    """The commands of a line: those before and after `&&` and `|`, and one inside `$(...)` or behind `eval`."""
    for inner in _INNER.findall(text):
        yield from _split(place, inner)
    words = _words(_INNER.sub("", text))
    while words:
        end = next((index for index, word in enumerate(words) if word in OPERATORS), len(words))
        one = words[:end]
        while one and _ASSIGNMENT.match(one[0]):
            one = one[1:]
        if one[:1] == ["eval"]:
            yield from _split(place, " ".join(one[1:]), answer)
        elif len(one) > 1 and one[0] in PROGRAMS:
            yield Command(place, shlex.join(words[:end]), tuple(one), answer)
        words = words[end + 1 :]


def _words(text: str) -> list[str]:
    """The words of a shell; none where it could not read them. `<a b>`, which stands for a value, is one word."""
    plain = re.sub(r"<([^<>]+)>", lambda match: match.group(1).replace(" ", "_").upper(), text)
    try:
        return shlex.split(re.sub(r"(?<=\S);(?= |$)", " ;", plain), comments=True)
    except ValueError:
        return []
