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


class Unusable(ValueError):  # noqa: N818
    """These bytes are no picture that can be used.

    Attributes:
        reason: In the manifest's words.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
