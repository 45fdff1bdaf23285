"""Why a picture cannot be used."""

from __future__ import annotations

from typing import Literal

Reason = Literal["empty", "truncated", "damaged", "not_an_image", "unsupported", "too_large", "bomb"]
"""The manifest's words.

- ``empty``: there are no bytes.
- ``truncated``: the end of the file is missing.
- ``damaged``: it contradicts itself, or its checksums.
- ``not_an_image``: it is no picture at all.
- ``unsupported``: a picture, or a document, of a kind that is not read.
- ``too_large``: more bytes or pixels than allowed.
- ``bomb``: more pixels than allowed, out of hardly any bytes.
"""

WORDS: dict[Reason, str] = {
    "empty": "the file is empty",
    "truncated": "the end of the file is missing",
    "damaged": "the picture is damaged",
    "not_an_image": "not a picture",
    "unsupported": "a kind of picture that is not read",
    "too_large": "it has too many pixels or bytes to be decoded",
    "bomb": "it has too many pixels to be decoded, and hardly any bytes",
}
"""The same in words for people."""


class Unusable(ValueError):  # noqa: N818
    """These bytes are no picture that can be used.

    Attributes:
        reason: In the manifest's words.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
