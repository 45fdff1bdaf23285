"""Logging: short lines on the terminal, everything in a file. `conf/base/logging.yml` says which is which."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from fovea.core.errors import UserError
from fovea.core.places import project_root, shared_root

SETTINGS = Path("conf/base/logging.yml")


class Voices(logging.Filter):
    """Who may speak on the terminal.

    Args:
        levels: Least level by the beginning of a logger's name; ``""`` for all others.
        in_file_only: Beginnings of names that never speak on the terminal.
    """

    def __init__(self, levels: Mapping[str, str], in_file_only: Sequence[str] = ()) -> None:
        super().__init__()
        self.levels = {name: logging.getLevelNamesMapping()[level] for name, level in levels.items()}
        self.in_file_only = tuple(in_file_only)
        self.verbose = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is said."""
        if self.verbose:
            return True
        if any(_within(record.name, name) for name in self.in_file_only):
            return False
        nearest = max((name for name in self.levels if not name or _within(record.name, name)), key=len, default=None)
        return nearest is not None and record.levelno >= self.levels[nearest]


class Short(logging.Formatter):
    """The message alone; of Python's warnings the category and the words, without the line of source around them."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The message of a record."""
        if record.name != "py.warnings":
            return record.message
        return re.sub(r"^\S+:\d+: ", "", record.message.strip().split("\n")[0])


class _Lines(logging.StreamHandler[TextIO]):
    """Plain lines on whatever standard error is at the moment; an INFO line carries no level."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname}: "
        return level + super().format(record)


class LogFile(logging.handlers.RotatingFileHandler):
    """The log file. One that cannot be written (a full disk) is said once, and the run goes on."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Says that the log cannot be written."""
        if not self._said:
            self._said = True
            sys.stderr.write(
                f"WARNING: {self.baseFilename} cannot be written ({sys.exc_info()[1]}); the run goes on without\n"
            )


def terminal() -> logging.Handler:
    """The handler of the terminal: coloured where there is one, plain lines where output goes to a file."""
    if not sys.stderr.isatty():
        return _Lines()
    from rich.console import Console
    from rich.highlighter import NullHighlighter
    from rich.logging import RichHandler

    console = Console(stderr=True, soft_wrap=True)
    return RichHandler(console=console, show_path=False, show_time=False, markup=False, highlighter=NullHighlighter())


def configure(*, verbose: bool = False) -> None:
    """Applies `conf/base/logging.yml` to this process.

    Args:
        verbose: Everything that is logged is also said on the terminal.

    Raises:
        UserError: The file is broken, or there is no project.
    """
    settings = _read(project_root() / SETTINGS)
    handlers = settings["handlers"]
    path = shared_root() / handlers["file"]["filename"]
    handlers["file"]["filename"] = str(path)
    if not _writable(path):
        del handlers["file"]
        settings["root"]["handlers"].remove("file")
    try:
        logging.config.dictConfig(settings)
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        raise UserError(f"{SETTINGS} cannot be applied: {error.__cause__ or error}") from error
    logging.captureWarnings(True)
    for voices in _voices():
        voices.verbose = verbose


def is_verbose() -> bool:
    """Whether everything that is logged is also said."""
    return any(voices.verbose for voices in _voices())


def let_speak(name: str) -> None:
    """Of the project's own loggers only this one says on the terminal more than warnings; the file has everything."""
    for voices in _voices():
        voices.levels |= {"fovea": logging.WARNING, name: logging.INFO}


def _voices() -> Iterator[Voices]:
    for handler in logging.getLogger().handlers:
        yield from (one for one in handler.filters if isinstance(one, Voices))


def log_file() -> Path | None:
    """The file that this process logs to, if it logs to one."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            return Path(handler.baseFilename)
    return None


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        if {"handlers", "root"} <= settings.keys() and "filename" in settings["handlers"]["file"]:
            return dict(settings)
    except (OSError, UnicodeDecodeError, AttributeError, KeyError, TypeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{SETTINGS} cannot be read ({reason}); bring it back, as in: git checkout -- {SETTINGS}"
        ) from error
    raise UserError(f"{SETTINGS} names no root or no handlers; bring it back, as in: git checkout -- {SETTINGS}")


def _writable(path: Path) -> bool:
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(path if path.exists() else path.parent, os.W_OK)


def _within(name: str, parent: str) -> bool:
    return name == parent or name.startswith(parent + ".")
