"""Bytes and pixels: what an encoded picture is, whether it is whole, how it is decoded, what it looks like."""

from fovea.pictures.decode import decode
from fovea.pictures.examine import Examined, examine
from fovea.pictures.header import Header, sniff
from fovea.pictures.near import near_duplicates
from fovea.pictures.read import Limits, Picture, read
from fovea.pictures.reasons import Unusable

__all__ = [
    "Examined",
    "Header",
    "Limits",
    "Picture",
    "Unusable",
    "decode",
    "examine",
    "near_duplicates",
    "read",
    "sniff",
]
