"""A key that cannot be shown by accident, and a filter that takes keys out of any text."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final, NoReturn, Self
from urllib.parse import quote

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK: Final = "••••"

# A shorter "key" is a word that local servers accept ("ollama", "EMPTY"): to mask it would mangle
# every answer about it.
_MIN_LITERAL_LENGTH: Final = 8


class Secret:
    """A key, masked wherever it is shown; it refuses to be pickled.

    Two secrets compare in constant time. An empty one is falsy.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Give the key itself: call it only where the header is built."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret is not saved: keep the name of the environment variable instead")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__getstate__()


def concealed(key: str | Secret | None) -> Secret | None:
    """A key as it was given, as a `Secret`.

    The first thing that a function does with its `api_key`: a traceback that shows local variables shows
    its arguments too.

    Raises:
        ConfigError: It is neither a text nor a `Secret`.
    """
    if isinstance(key, str):
        return Secret(key.strip())
    if key is None or isinstance(key, Secret):
        return key
    raise ConfigError("api_key must be a text", seen=f"it is of type {type(key).__name__}")


# What bearer tokens are made of (RFC 6750, 2.1), and the stars of a shortened key.
_VALUE: Final = r"[A-Za-z0-9_.~+/=*-]"
_PLACEHOLDER: Final = re.compile(r"[A-Z_]+")  # "YOUR_API_KEY"
_PLAIN_WORD: Final = re.compile(r"[a-z./-]+|[A-Z][a-z]+|[A-Z_]+")  # "authentication", "Tokens"
_LOWER_KEY: Final = re.compile(r"[a-z]{20,}")  # longer than any word that follows "sk-" in prose

# Each pattern starts only where a run of its own characters starts: the time stays linear in the text.
_PREFIXED: Final = re.compile(r"(?<![A-Za-z0-9_*-])(?:sk|vg)-(?!learn)([A-Za-z0-9_*-]{8,})")
_VIGTHORIA: Final = re.compile(r"(?<![A-Za-z0-9])(?:vg-(?:live|test)-|vk_(?:live|test|pub)_)[A-Za-z0-9_*-]{4,}")
_HEADER: Final = re.compile(
    rf"(?i)(\bauthorization[\"']?\s{{0,4}}[:=]\s{{0,4}}[\"']?(?:bearer|basic|token)\s{{1,4}})({_VALUE}{{4,}})"
)
_BEARER: Final = re.compile(rf"(?i)(\bbearer\s{{1,4}})({_VALUE}{{6,}})")
_LABELLED: Final = re.compile(
    r"(?i)((?:(?<![a-z0-9])api[ _-]?key|\bauthorization)[\"']?\s{0,4}"
    r"(?:(?:is|was|provided|given)\b\s{0,4})?[:=]?\s{0,4}[\"']?)"
    rf"({_VALUE}{{16,}})"
)

# Each pattern holds one of these: most texts hold none, and are done in a tenth of the time.
_SIGNS: Final = ("sk-", "vg-", "vk_", "api", "authorization", "bearer")


def mask(text: str, *secrets: Secret) -> str:
    """Take keys out of a text: the given ones literally, and whatever looks like one.

    Looks like one: ``sk-…``, ``vg-…``, ``vk_live_…``, ``vk_test_…``, ``vk_pub_…``, the value after
    ``Bearer``, and a long token after ``api key`` or ``authorization``. Ordinary words ("sk-learn",
    "Bearer authentication") and placeholders ("Bearer YOUR_API_KEY") stay. Keys of fewer than 8
    characters are not taken out literally: they are words.
    """
    for spelling in _spellings(secrets):
        text = text.replace(spelling, MASK)
    lowered = text.lower()
    if not any(sign in lowered for sign in _SIGNS):
        return text
    text = _VIGTHORIA.sub(MASK, text)
    text = _PREFIXED.sub(_mask_prefixed, text)
    text = _HEADER.sub(_mask_header, text)
    text = _BEARER.sub(_mask_value, text)
    return _LABELLED.sub(_mask_value, text)


def _spellings(secrets: tuple[Secret, ...]) -> Iterator[str]:
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= _MIN_LITERAL_LENGTH:
            yield value
            yield quote(value, safe="")


def _mask_prefixed(match: re.Match[str]) -> str:
    value = match[1]
    return MASK if re.search(r"[0-9A-Z*]", value) or _LOWER_KEY.search(value) else match[0]


def _mask_header(match: re.Match[str]) -> str:
    return match[0] if _PLACEHOLDER.fullmatch(match[2]) else match[1] + MASK


def _mask_value(match: re.Match[str]) -> str:
    return match[0] if _PLAIN_WORD.fullmatch(match[2].rstrip(".")) else match[1] + MASK
