"""How a command ends: one sentence on standard error, the right exit code, and the whole story in the log file."""

from __future__ import annotations

import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from fovea.config.logs import log_file
from fovea.core.errors import FoveaError, Interrupted, UserError

log = logging.getLogger("fovea.commands")


class Outcome(NamedTuple):
    """How a command ended that did not end well.

    Attributes:
        code: Its exit code.
        sentence: What is said of it.
        expected: Whether the sentence says all that a user needs; else there is a traceback, in the log file or shown.
    """

    code: int
    sentence: str
    expected: bool = True


@contextmanager
def told(*, again: str = "") -> Iterator[None]:
    """Runs the block and tells what ends it.

    Args:
        again: The command that goes on after an interruption.

    Raises:
        click.exceptions.Exit: The block raised: exit code 2 for a user's mistake, 1 for a run that failed, 130 and 143
            for an interruption by Ctrl-C and SIGTERM.
    """
    try:
        yield
    except (click.exceptions.Exit, BrokenPipeError):  # click ends quietly when a reader like `head` has gone
        raise
    except click.ClickException as error:
        from kedro.framework.cli.utils import KedroCliError

        if not isinstance(error, KedroCliError):
            raise
        _end(error, Outcome(2, _one_line(error)))
    except BaseException as error:
        _end(error, outcome(error, again))


def _end(error: BaseException, end: Outcome) -> NoReturn:
    log.debug("ended with exit code %d", end.code, exc_info=error)
    if not end.expected and log_file() is None:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.secho("Error: " if end.code <= 2 else "Stopped: ", fg="red", nl=False, err=True)
    click.echo(end.sentence, err=True)
    raise click.exceptions.Exit(end.code) from None


def outcome(error: BaseException, again: str = "") -> Outcome:
    """What an exception means for the user.

    Args:
        error: Whatever ended a command; an error of ours may be wrapped in one of Kedro's.
        again: The command that goes on after an interruption.
    """
    chain = list(_chain(error))
    for one in chain:
        stop = Interrupted(signal.SIGINT) if isinstance(one, KeyboardInterrupt) else one
        if isinstance(stop, Interrupted):
            way_on = f"; what is finished is kept; go on with: {again}" if again else ""
            return Outcome(stop.exit_code, f"{stop}{way_on}")
    for one in chain:
        if isinstance(one, FoveaError):
            return Outcome(one.exit_code, str(one) if isinstance(one, UserError) else f"{one}{_where()}")
    if isinstance(error, SystemExit):
        return Outcome(1, f"a step ended the process with exit code {error.code}{_where()}", expected=False)
    if _is_selection(error):
        reason = _one_line(error).partition(". ")[0]
        return Outcome(2, f"{reason}; `kedro registry describe NAME` shows the nodes of a pipeline")
    root = chain[-1] if type(error).__name__ == "DatasetError" else error
    return Outcome(1, f"{type(root).__name__}: {_one_line(root)}{_where()}", expected=False)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that led to it, outermost first."""
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _is_selection(error: BaseException) -> bool:
    """Whether Kedro refused the pipelines, nodes or tags asked for, before any node ran."""
    frames = traceback.extract_tb(error.__traceback__)
    refusing = {"filter", "run"} if isinstance(error, ValueError) else set()
    homes = ("kedro/pipeline/pipeline.py", "kedro/framework/session/session.py")
    last = [frame for frame in frames if frame.filename.replace("\\", "/").endswith(homes)]
    return bool(last) and last[-1] is frames[-1] and any(frame.name in refusing for frame in last)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".") or "no message"
    return text if len(text) <= 400 else text[:397] + "..."


def _where() -> str:
    path = log_file()
    if path is None:
        return ""
    with suppress(ValueError, OSError):
        path = path.relative_to(Path.cwd().resolve())
    return f" (log: {path})"
