"""Where a source file may be had: a folder, or an address that serves files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from fovea.core.errors import UserError
from fovea.core.files import explained, require_space
from fovea.core.places import from_home
from fovea.datasets.parts import Part, Patience, UnavailableError
from fovea.datasets.wanted import Wanted

VARIABLE = "FOVEA_MIRROR"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Mirror:
    """A place that holds files under their own names.

    Attributes:
        base: A folder, ``file://`` or ``http(s)://``.
        label: What it is called instead of `base`.
        file: The file's name there, where it is another than that of the wanted file.
    """

    base: str
    label: str | None = None
    file: str | None = None

    @property
    def shown(self) -> str:
        """The place as it may be shown and noted: without a password or a query."""
        if self.label:
            return self.label
        if "://" not in self.base:
            return self.base
        parts = urlsplit(self.base)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def bring(self, wanted: Wanted, part: Part, patience: Patience) -> None:
        """Brings the bytes of the file, whole but not checked, into `part`.

        Raises:
            UnavailableError: The mirror does not give it.
            RunError: The disk is full or not writable.
        """
        folder, name = _folder(self.base), self.file or wanted.name
        if folder is None:
            from fovea.datasets.http import download

            download(f"{self.base.rstrip('/')}/{quote(name)}", part, wanted, patience)
        else:
            _copy(folder / name, part, wanted)


def mirrors(data_name: str, configured: Sequence[str]) -> list[Mirror]:
    """The places to look in, in turn: `FOVEA_MIRROR` (laid out as ``<data set>/<file>``), then those of the config.

    Raises:
        UserError: A place is neither a folder nor an address of a known kind, or the folder of `FOVEA_MIRROR` is
            missing.
    """
    places = [Mirror(_known(base, "data.mirrors")) for base in configured]
    own = os.environ.get(VARIABLE)
    if own:
        folder = _folder(_known(own, VARIABLE))
        if folder is not None and not folder.is_dir():
            raise UserError(f"{VARIABLE} is '{own}' but there is no such folder; correct it or unset it")
        places.insert(0, Mirror(f"{own.rstrip('/')}/{data_name}"))
    return places


def _known(base: str, where: str) -> str:
    if "://" in base and urlsplit(base).scheme not in {"http", "https", "file"}:
        raise UserError(f"{where} has '{Mirror(base).shown}'; a mirror is a folder, file://, http:// or https://")
    return base


def _folder(base: str) -> Path | None:
    if "://" not in base:
        return from_home(base)
    parts = urlsplit(base)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _copy(source: Path, part: Part, wanted: Wanted) -> None:
    """A copy, or a hard link where nobody can change the mirror's file through it."""
    try:
        stream = source.open("rb")
    except FileNotFoundError:
        raise UnavailableError("has no such file") from None
    except OSError as error:
        raise UnavailableError(f"cannot be read ({error.strerror})") from None
    with stream, explained(f"writing {part.path}"):
        size = source.stat().st_size
        if wanted.bytes is not None and size > wanted.bytes:
            raise UnavailableError(f"offers {size:,} bytes instead of {wanted.bytes:,}")
        part.drop()
        if not os.access(source, os.W_OK):
            with suppress(OSError):
                part.path.hardlink_to(source.resolve())
                return
        require_space(part.path.parent, size, f"the bytes of {wanted.name}")
        part.begin(source.as_uri() if source.is_absolute() else str(source), None, size)
        with part.path.open("ab") as target:
            while chunk := stream.read(_CHUNK):
                target.write(chunk)
