"""Images that the text itself holds: shown on demand, when they are what they say."""

from __future__ import annotations

import base64
import binascii
import re

__all__ = ["take_images"]

_LARGEST_BYTES = 1_000_000
_DATA_IMAGE = re.compile(r"(!\[[^\]\n]{0,500}\]\()data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})(?=\))")
_MAGIC = {
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}


def take_images(text: str) -> tuple[str, dict[str, str]]:
    """Put a short name in the place of each image that may be shown.

    Returns:
        The text with the names in it, and the `data:` addresses by name.
    """
    images: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        start, kind, encoded = match.groups()
        if not _is_image(kind, encoded):
            return match.group()
        key = f"vig-image:{len(images)}"
        images[key] = f"data:image/{kind};base64,{encoded}"
        return start + key

    return _DATA_IMAGE.sub(name, text), images


def _is_image(kind: str, encoded: str) -> bool:
    if len(encoded) > _LARGEST_BYTES * 4 // 3 + 4:
        return False
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return len(data) <= _LARGEST_BYTES and _MAGIC[kind].match(data) is not None
