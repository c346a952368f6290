"""The header of a GGUF file: enough to say, before it is loaded, whether it can be served and what it needs.

Layout (GGUF specification, versions 2 and 3, little-endian)::

    "GGUF"  version:u32  tensor_count:u64  pair_count:u64
    pair_count   x  key:string  type:u32  value            string = length:u64, UTF-8 bytes
    tensor_count x  name:string  dimension_count:u32  dimension:u64 ...  type:u32  offset:u64
    padding to `general.alignment`, then the data of the tensors

The file may come from anywhere: every count and length is capped before use, and the data is never read.
The `gguf` package reads the same; it needs numpy and makes an object of each of 50,000 vocabulary entries.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from vig_notebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Number = int | float  # and bool, which is an int
    Value = Number | str | tuple[Number, ...] | None

__all__ = ["GGUFHeader", "read_header"]

# Far above what any published model has, and far below what would hold up a kernel.
_MAX_PAIRS: Final = 4_096
_MAX_TENSORS: Final = 65_536
_MAX_NAME_BYTES: Final = 65_535
_MAX_TEXT_BYTES: Final = 1024 * 1024
_MAX_ARRAY_ITEMS: Final = 4_000_000
_MAX_KEPT_ITEMS: Final = 1_024
_MAX_DIMENSIONS: Final = 8

_STRING: Final = 8
_ARRAY: Final = 9
_NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""struct format of each number type of a value."""

_BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""(items, bytes) of a block of each tensor type of ggml; a type that is not here counts as no bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GGUFHeader:
    """What the header says.

    Attributes:
        architecture: For example ``llama``.
        name: The model's own name, or "".
        chat_template: The Jinja text, or "" when it has none.
        context_length: Tokens that the model was trained to take, 0 when it does not say.
        cache_bytes_per_token: Bytes that the key and value cache takes for a token; 0 when it cannot be told.
        file_bytes: Size of the file.
        files: Number of files that the model is split into.
    """

    architecture: str
    name: str
    chat_template: str
    context_length: int
    cache_bytes_per_token: int
    file_bytes: int
    files: int


def read_header(path: Path) -> GGUFHeader:
    """Read and check the header of a GGUF file.

    Raises:
        ConfigError: There is no such file, it is no GGUF, it is cut off, or its header makes no sense.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path.name, path.stat().st_size).header()
    except OSError as error:
        raise ConfigError(
            f"The model file {path.name} cannot be read",
            seen=error.strerror or type(error).__name__,
            advice="Give the path of a .gguf file.",
        ) from error


class _Reader:
    """Reads on from the start of one file."""

    def __init__(self, file: BinaryIO, name: str, file_bytes: int) -> None:
        self.file = file
        self.name = name
        self.file_bytes = file_bytes

    def header(self) -> GGUFHeader:
        if self.file.read(4) != b"GGUF":
            raise ConfigError(
                f"{self.name} is no GGUF file",
                seen="it does not begin with the letters GGUF",
                advice="Give a model in the GGUF format, the one that llama.cpp reads.",
            )
        version = self.number("I")
        if version not in (2, 3):
            raise ConfigError(
                f"{self.name} is a GGUF file of another kind",
                seen=f"it says version {version}; versions 2 and 3 (little-endian) can be read",
                advice="Convert it anew.",
            )
        tensors = self.count(_MAX_TENSORS, "tensors")
        pairs = self.count(_MAX_PAIRS, "pairs")
        values = {self.string(_MAX_NAME_BYTES): self.value() for _ in range(pairs)}
        self.check_data(tensors, _whole(values.get("general.alignment")) or 32)
        return _header(values, self.file_bytes)

    def check_data(self, tensors: int, alignment: int) -> None:
        """Read the list of tensors and refuse a file that ends before the last of them does."""
        end = max((self.tensor_end() for _ in range(tensors)), default=0)
        start = -(-self.file.tell() // alignment) * alignment
        if start + end > self.file_bytes:
            raise self.cut_off(start + end)

    def tensor_end(self) -> int:
        """Read the entry of a tensor; give the offset of its end within the data."""
        self.string(_MAX_NAME_BYTES)
        dimensions = self.number("I")
        if dimensions > _MAX_DIMENSIONS:
            raise self.nonsense(f"a tensor of {dimensions} dimensions")
        items = 1
        for _ in range(dimensions):
            items *= self.number("Q")
        block_items, block_bytes = _BLOCKS.get(self.number("I"), (1, 0))
        return self.number("Q") + items // block_items * block_bytes

    def value(self) -> Value:
        kind = self.number("I")
        if kind == _STRING:
            return self.string(_MAX_TEXT_BYTES)
        if kind == _ARRAY:
            return self.array()
        return self.unpack(self.format(kind))

    def array(self) -> tuple[Number, ...] | None:
        """Read an array; only a short one of numbers is kept."""
        kind = self.number("I")
        items = self.count(_MAX_ARRAY_ITEMS, "items of a list")
        if kind == _STRING:
            for _ in range(items):
                self.skip(self.number("Q"))
            return None
        form = self.format(kind)
        if items <= _MAX_KEPT_ITEMS:
            return tuple(self.unpack(form) for _ in range(items))
        self.skip(items * struct.calcsize(f"<{form}"))
        return None

    def format(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise self.nonsense(f"a value of type {kind}")
        return _NUMBERS[kind]

    def string(self, max_bytes: int) -> str:
        size = self.number("Q")
        if size > max_bytes:
            raise self.cut_off() if size > self.file_bytes else self.nonsense(f"a text of {size:,} bytes")
        return self.take(size).decode("utf-8", "replace")

    def count(self, most: int, what: str) -> int:
        found = self.number("Q")
        if found > most:
            raise self.nonsense(f"{found:,} {what}")
        return found

    def number(self, form: str) -> int:
        return int(self.unpack(form))

    def unpack(self, form: str) -> Number:
        value: Number
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return value

    def take(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise self.cut_off()
        return data

    def skip(self, size: int) -> None:
        if size > self.file_bytes - self.file.tell():
            raise self.cut_off()
        if size > _MAX_NAME_BYTES:
            self.file.seek(size, io.SEEK_CUR)
        else:  # a seek throws the buffer away, and a vocabulary has 50,000 entries of a few bytes
            self.file.read(size)

    def cut_off(self, needed: int = 0) -> ConfigError:
        whole = f" of {needed:,}" if needed else ""
        return ConfigError(
            f"The model file {self.name} is cut off",
            seen=f"it ends after {self.file_bytes:,}{whole} bytes",
            advice="Download it again.",
        )

    def nonsense(self, seen: str) -> ConfigError:
        return ConfigError(
            f"The model file {self.name} is damaged",
            seen=f"its header tells of {seen}",
            advice="Download it again.",
        )


def _header(values: Mapping[str, Value], file_bytes: int) -> GGUFHeader:
    architecture = _text(values.get("general.architecture"))
    return GGUFHeader(
        architecture=architecture,
        name=_text(values.get("general.name")),
        chat_template=_text(values.get("tokenizer.chat_template")),
        context_length=_whole(values.get(f"{architecture}.context_length")),
        cache_bytes_per_token=_cache_bytes_per_token(values, architecture),
        file_bytes=file_bytes,
        files=max(1, _whole(values.get("split.count"))),
    )


def _cache_bytes_per_token(values: Mapping[str, Value], architecture: str) -> int:
    """Two bytes for each number of each key and value head of each block."""

    def of(name: str) -> Value:
        return values.get(f"{architecture}.{name}")

    heads = _whole(of("attention.head_count"))
    own_heads = of("attention.head_count_kv")
    if isinstance(own_heads, tuple):
        all_heads = sum(int(count) for count in own_heads)
    else:
        all_heads = (_whole(own_heads) or heads) * _whole(of("block_count"))
    head_size = _whole(of("embedding_length")) // heads if heads else 0
    key_size = _whole(of("attention.key_length")) or head_size
    value_size = _whole(of("attention.value_length")) or head_size
    return 2 * all_heads * (key_size + value_size)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Value) -> int:
    return value if isinstance(value, int) and value > 0 else 0
