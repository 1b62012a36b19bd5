"""Photos from outside: decoded whole, turned upright, written anew as JPEG, so that nothing else travels with them."""

import asyncio
import io
from dataclasses import dataclass

from PIL import Image, ImageOps

from services.kernel.errors import InvalidInput

MOST_BYTES = 8_000_000
MOST_PIXELS = 25_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True, kw_only=True)
class Photo:
    jpeg: bytes
    width: int
    height: int


async def take_in(raw: bytes) -> Photo:
    """Raises `InvalidInput` for what is too large or no readable picture."""
    if not 0 < len(raw) <= MOST_BYTES:
        raise InvalidInput(
            zh="照片须在 8 MB 以内且不为空。", en="The photo must be between 1 byte and 8 MB.", field="photo"
        )
    return await asyncio.to_thread(_encode_anew, raw)


def _encode_anew(raw: bytes) -> Photo:
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InvalidInput(
                    zh="照片像素过多，请压缩到 2500 万像素以内。",
                    en="The photo has too many pixels; scale it below 25 megapixels.",
                    field="photo",
                )
            image.load()
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(
            zh="无法读取照片，请上传完整的 JPEG、PNG 或 WebP。",
            en="The photo cannot be read; send a whole JPEG, PNG or WebP.",
            field="photo",
        ) from error
    # A fresh image: Pillow would carry comments and profiles of the opened one over into the file.
    clean = Image.new("RGB", upright.size)
    clean.paste(upright)
    target = io.BytesIO()
    clean.save(target, format="JPEG", quality=85, optimize=True)
    return Photo(jpeg=target.getvalue(), width=clean.width, height=clean.height)
