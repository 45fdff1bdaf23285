"""Writing so that a reader never sees half a file: write aside, then rename."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from fovea.core.errors import RunError

_HOST = socket.gethostname()
_WORDS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only; choose a folder that can be written",
    errno.EACCES: "permission denied; make the folder writable for this user",
    errno.EPERM: "the operation is not permitted; make the folder writable for this user",
    errno.ENOTDIR: "a part of the path is a file, not a folder; move that file away",
    errno.EEXIST: "a part of the path is a file, not a folder; move that file away",
    errno.EISDIR: "a folder stands where the file must go; move that folder away",
    errno.EIO: "the disk reports an error; check the disk",
}


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns the operating system's errors into a `RunError` that says what was being done and the way out.

    Args:
        doing: The action and its object, as in ``"writing data/08_reporting/metrics.json"``.
    """
    try:
        yield
    except OSError as error:
        words = _WORDS.get(error.errno or 0)
        if words is None:
            raise
        raise RunError(f"{doing} failed: {words}") from error


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


def _clear(path: Path) -> None:
    """Removes what killed processes of this machine left beside `path`."""
    _clear_all(path.parent, escape(path.name))


def _clear_all(folder: Path, names: str) -> None:
    for left in folder.glob(f".{names}.{escape(_HOST)}-*-*.tmp"):
        pid = left.name.split("-")[-2]
        if pid.isdigit() and not _is_alive(int(pid)):
            with suppress(OSError):
                _remove(left)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; renames it to `path` when the block ends well, removes it otherwise.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    temporary = _aside(path)
    with explained(f"writing {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path` to fill; puts it in the place of `path` when the block ends well.

    What stood at `path` before is moved aside by a rename and removed only after the new folder stands there.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    temporary = _aside(path)
    with explained(f"writing {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        try:
            temporary.mkdir()
            yield temporary
            _swap(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    while True:
        old = _aside(path)
        with suppress(FileNotFoundError):
            path.rename(old)
        try:
            new.rename(path)
        except OSError as error:
            # Another process may have put its own folder there since; then that one is moved aside in its turn.
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) and os.path.lexists(path):
                _remove(old)
                continue
            if os.path.lexists(old):
                old.rename(path)
            raise
        _remove(old)
        return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Removes a folder, if there is one, so that nobody ever sees a part of it: it is renamed first.

    What killed processes of this machine left in the same place is removed with it.
    """
    _clear_all(path.parent, "*")
    gone = _aside(path)
    with suppress(FileNotFoundError):
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def scratch_directory() -> Path:
    """Makes an empty folder, for this user alone, where the system keeps temporary files.

    Whoever makes it removes it. What killed processes of this machine left is removed here.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    place = Path(tempfile.gettempdir()) / "fovea"
    with explained(f"making a temporary folder in {place.parent}"):
        _clear(place)
        made = _aside(place)
        made.mkdir(mode=0o700)
    return made


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link of `source` at `target`, or a copy where the file system allows no link.

    Both names may share one inode, so neither file may ever be changed in place.
    """
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copy2(source, target)


def publish_directory(source: Path, target: Path) -> None:
    """Puts hard links (or copies) of the files below `source` in the place of the folder `target`, all at once.

    Raises:
        RunError: The disk is full, read-only or not writable, or there is no folder at `source`.
    """
    if not source.is_dir():
        raise RunError(f"'{source}' is not there any more; run the stage that makes it again")
    with atomic_directory(target) as temporary:
        for path in sorted(source.rglob("*")):
            goal = temporary / path.relative_to(source)
            if path.is_dir():
                goal.mkdir(parents=True, exist_ok=True)
            else:
                goal.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, goal)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Makes sure, before writing begins, that the disk has room.

    Args:
        folder: Where it will be written; need not exist yet.
        needed: Bytes that will be written.
        what: What will be written, as in ``"the shards of mnist"``.

    Raises:
        RunError: The disk has less room.
    """
    place = folder
    while not place.is_dir() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise RunError(
            f"{what} need {needed / 1e6:,.1f} MB in '{folder}' but the disk has {free / 1e6:,.1f} MB left; free some "
            "space and run the same command again"
        )
