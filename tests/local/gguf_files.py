"""Writes small GGUF files: headers as models have them, with data of a few bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"

LLAMA: Mapping[str, object] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "llama.context_length": 512,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "longer"],
    "tokenizer.ggml.scores": [0.5] * 2_000,
    "tokenizer.chat_template": TEMPLATE,
}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value: object) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    assert isinstance(value, list)
    kind = {str: 8, int: 4, float: 6}[type(value[0])]
    body = b"".join(text(item) if kind == 8 else struct.pack("<I" if kind == 4 else "<f", item) for item in value)
    return struct.pack("<IIQ", 9, kind, len(value)) + body


def gguf(
    values: Mapping[str, object] = LLAMA,
    *,
    version: int = 3,
    tensors: Iterable[tuple[int, int]] = ((0, 32),),
    data: bytes = bytes(128),
) -> bytes:
    """A file: `tensors` are (type, items), one after the other in `data`."""
    tensors = list(tensors)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    head += b"".join(text(name) + typed(value) for name, value in values.items())
    for number, (kind, items) in enumerate(tensors):
        head += text(f"t{number}") + struct.pack("<IQIQ", 1, items, kind, 0)
    return head + bytes(-len(head) % 32) + data


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
