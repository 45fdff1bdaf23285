"""Downloads by HTTP that survive cut connections: retried, resumed by Range, never longer than announced."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator

import requests
from urllib3.exceptions import HTTPError

from fovea.core.files import explained, require_space
from fovea.datasets.parts import Part, Patience, UnavailableError
from fovea.datasets.wanted import Wanted

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 18
_PROGRESS = 1 << 20  # an attempt that brings this many bytes was no failure
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class _PassingError(Exception):
    """Trouble that may pass."""


class _UnreachableError(_PassingError):
    """No connection at all."""


def download(url: str, part: Part, wanted: Wanted, patience: Patience) -> None:
    """Brings the file at `url` into `part`, going on where an earlier attempt ended.

    Range requests follow RFC 9110, section 14: what was begun is continued only if the server still has the same file
    (`If-Range`) and answers with the bytes that were asked for (`Content-Range`); otherwise the file begins anew.

    Raises:
        UnavailableError: The server cannot give the file, or the connection failed too often.
        RunError: The disk is full or not writable.
    """
    failures = 0
    with requests.Session() as session:
        while True:
            before = part.size
            try:
                _receive(session, url, part, wanted, patience)
            except _PassingError as trouble:
                failures = 1 if part.size - before >= _PROGRESS else failures + 1
                limit = min(2, patience.attempts) if isinstance(trouble, _UnreachableError) else patience.attempts
                if failures >= limit:
                    raise UnavailableError(str(trouble)) from None
                _LOG.info("%s: %s; trying again", wanted.name, trouble)
                time.sleep(min(30.0, patience.pause * 2 ** (failures - 1)))
            else:
                return


def _receive(session: requests.Session, url: str, part: Part, wanted: Wanted, patience: Patience) -> None:
    offset = _resumable(part, url, wanted)
    with _get(session, url, _headers(url, part, offset), patience) as response, explained(f"writing {part.path}"):
        if offset and response.status_code != 200:
            total = _continued(response, offset, part, wanted)
        else:
            total = _length(response)
            part.begin(url, _validator(response), total)
        limit = total if wanted.bytes is None else wanted.bytes
        if total is not None and limit is not None and total > limit:
            raise UnavailableError(f"offers {total:,} bytes instead of {limit:,}")
        require_space(part.path.parent, (limit or 0) - offset, f"the bytes of {wanted.name}")
        _store(response, part, limit)
    expected = total if total is not None else wanted.bytes
    if expected is not None and part.size < expected:
        raise _PassingError(f"the connection ended after {part.size:,} of {expected:,} bytes")


def _resumable(part: Part, url: str, wanted: Wanted) -> int:
    """Bytes to keep: bytes of another address are kept only if a checksum will tell whether they fit."""
    note = part.note()
    checked = wanted.md5 or wanted.sha256
    same = note.get("url") == url and note.get("validator")
    fits = wanted.bytes is None or part.size < wanted.bytes
    return part.size if note and fits and (checked or same) else 0


def _headers(url: str, part: Part, offset: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    note = part.note()
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if note["url"] == url and note["validator"]:
            headers["If-Range"] = note["validator"]
    return headers


def _get(session: requests.Session, url: str, headers: dict[str, str], patience: Patience) -> requests.Response:
    """An answer whose body is the file (200), the part of it that was asked for (206), or no part (416)."""
    try:
        response = session.get(url, headers=headers, stream=True, timeout=(patience.connect, patience.read))
    except requests.ReadTimeout:
        raise _PassingError(f"no answer within {patience.read:g} s") from None
    except requests.ConnectTimeout:
        raise _UnreachableError(f"no connection within {patience.connect:g} s") from None
    except requests.exceptions.SSLError:
        raise UnavailableError("its certificate is not trusted") from None
    except requests.ConnectionError:
        raise _UnreachableError("no connection") from None
    except (requests.RequestException, ValueError) as error:
        raise UnavailableError(f"no valid answer ({type(error).__name__})") from None
    status = response.status_code
    if status == 200 or (status in {206, 416} and "Range" in headers):
        return response
    response.close()
    raise _PassingError(f"HTTP {status}") if status in _PASSING else UnavailableError(f"HTTP {status}")


def _continued(response: requests.Response, offset: int, part: Part, wanted: Wanted) -> int | None:
    """Bytes of the whole file, when the answer goes on exactly where the part ends; else the part begins anew."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if response.status_code == 206 and match and int(match[1]) == offset:
        total = int(match[3]) if match[3] != "*" else None
        if len({number for number in (total, part.note().get("total"), wanted.bytes) if number is not None}) <= 1:
            return total
    part.drop()
    raise _PassingError("the server did not go on where the last connection ended")


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and "Transfer-Encoding" not in response.headers else None


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _store(response: requests.Response, part: Part, limit: int | None) -> None:
    size = part.size
    with part.path.open("ab") as stream:
        for chunk in _chunks(response):
            size += len(chunk)
            if limit is not None and size > limit:
                part.drop()
                raise UnavailableError(f"sends more than the announced {limit:,} bytes")
            stream.write(chunk)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    # `raw`, not `iter_content`: a server that marks a .gz file as "Content-Encoding: gzip" must not have it unpacked.
    while True:
        try:
            chunk = response.raw.read(_CHUNK, decode_content=False)
        except HTTPError as error:
            raise _PassingError(f"the connection broke ({type(error).__name__})") from None
        if not chunk:
            return
        yield chunk
