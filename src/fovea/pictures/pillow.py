"""The less usual kinds of pictures, through Pillow, and what becomes of them: 8-bit grey or RGB, upright.

Only the plugins of the formats that are read are ever tried. Pillow's own limit for the pixels of a picture does not
apply before their number is known here.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.pictures.reasons import Unusable
from fovea.pictures.turn import UPRIGHT, swaps_sides, turned

if TYPE_CHECKING:
    from PIL import Image, ImageFile

_ORIENTATION = 0x0112
# Tags of a TIFF that is stored in tiles, and pixels of one that may be larger than the picture: it is decoded whole.
_TILE_WIDTH, _TILE_HEIGHT, _MOST_OF_TILE = 322, 323, 1 << 24
# Pictures of these modes become grey; all others RGB.
_GREY = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N", "I"})


def describe(data: bytes, name: str) -> tuple[int, int, str, int, bool]:
    """Width, height, mode, turn, and whether the loader may decode it as it is; see `fovea.pictures.header.Header`.

    Raises:
        Unusable: The header cannot be read, or asks for tiles much larger than the picture.
    """
    with _opened(data, name) as image:
        if name == "TIFF":
            _check_tiles(image)
        turn = _turn(image)
        plain = name == "WEBP" and image.mode == "RGB" and not getattr(image, "is_animated", False)
        # Pillow tells of a TIFF how large it is once turned.
        width, height = image.size[::-1] if name == "TIFF" and swaps_sides(turn) else image.size
        return width, height, image.mode, turn, plain


def converted(data: bytes, name: str, turn: int) -> NDArray[np.uint8]:
    """The first frame as 8-bit grey or RGB, upright, uint8 [H, W, 1 or 3]. What is transparent becomes white.

    Args:
        data: The file.
        name: Its format.
        turn: Its EXIF orientation.

    Raises:
        Unusable: It cannot be decoded whole, or has colours without a meaning for the eye.
    """
    with _opened(data, name) as image:
        image.load()
        pixels = _pixels(image)
    # Pillow has turned a TIFF already.
    upright = turned(pixels, UPRIGHT if name == "TIFF" else turn)
    return upright.reshape(*upright.shape[:2], -1)


def packed(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels as a PNG file.

    Args:
        pixels: uint8 [H, W, 1 or 3].
    """
    import cv2

    order: Any = pixels if pixels.shape[2] == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, file = cv2.imencode(".png", order)
    if not done:
        raise Unusable("unsupported")
    return bytes(file.tobytes())


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[ImageFile.ImageFile]:
    """A picture whose errors are `Unusable` and that warns of nothing."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _plugin(name)(io.BytesIO(data), "") as image:
                yield image
        except Unusable:
            raise
        except (Image.DecompressionBombError, MemoryError):
            raise Unusable("too_large") from None
        # Plugins meet damage with errors of any type.
        except Exception as error:
            raise Unusable("truncated" if _speaks_of_the_end(error) else "damaged") from None


def _plugin(name: str) -> Any:
    from PIL import (
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    return {
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "PPM": PpmImagePlugin.PpmImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }[name]


def _speaks_of_the_end(error: Exception) -> bool:
    return isinstance(error, EOFError) or any(word in str(error).lower() for word in ("truncated", "end of"))


def _check_tiles(image: Any) -> None:
    width, height = (int(image.tag_v2.get(tag, 0)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    if width * height > max(image.size[0] * image.size[1], _MOST_OF_TILE):
        raise Unusable("bomb")


def _turn(image: Image.Image) -> int:
    try:
        turn = int(image.getexif().get(_ORIENTATION, UPRIGHT))
    except (ValueError, TypeError, SyntaxError, OSError):
        return UPRIGHT
    return turn if 1 <= turn <= 8 else UPRIGHT


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        return _sixteen_bits(image)
    if image.mode == "F":
        raise Unusable("unsupported")
    wanted = "L" if image.mode in _GREY else "RGB"
    if image.has_transparency_data:
        return np.asarray(_over_white(image).convert(wanted))
    try:
        return np.asarray(image.convert(wanted))
    except ValueError:
        raise Unusable("unsupported") from None


def _over_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _sixteen_bits(image: Image.Image) -> NDArray[np.uint8]:
    # Pillow gives 32-bit numbers for the 16 bits of a PGM file; of other files their range is unknown.
    if image.mode == "I" and image.format != "PPM":
        raise Unusable("unsupported")
    return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
