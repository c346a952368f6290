from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.gguf_files import LLAMA, TEMPLATE, gguf, text, write
from vig_notebook.errors import ConfigError
from vig_notebook.local.gguf import read_header

if TYPE_CHECKING:
    from pathlib import Path


def test_header_of_a_model_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.gguf", gguf())
    header = read_header(path)
    assert header.architecture == "llama"
    assert header.name == "Tiny"
    assert header.chat_template == TEMPLATE
    assert header.context_length == 512
    assert header.file_bytes == path.stat().st_size
    assert header.files == 1


def test_cache_is_two_bytes_for_each_number_of_each_key_and_value(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "tiny.gguf", gguf()))
    assert header.cache_bytes_per_token == 2 * (2 * 2) * (16 + 16)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"llama.attention.head_count_kv": [2, 0]}, 2 * 2 * 32),
        ({"llama.attention.key_length": 8}, 2 * 4 * (8 + 16)),
        ({"llama.attention.head_count": 0}, 0),
        ({"llama.attention.head_count": "four"}, 0),
    ],
)
def test_cache_of_other_shapes(tmp_path: Path, changed: dict[str, object], expected: int) -> None:
    assert read_header(write(tmp_path / "m.gguf", gguf({**LLAMA, **changed}))).cache_bytes_per_token == expected


def test_model_without_template_has_an_empty_one(tmp_path: Path) -> None:
    values = {name: value for name, value in LLAMA.items() if "template" not in name}
    assert read_header(write(tmp_path / "m.gguf", gguf(values))).chat_template == ""


def test_split_model_tells_its_number_of_files(tmp_path: Path) -> None:
    assert read_header(write(tmp_path / "m.gguf", gguf({**LLAMA, "split.count": 3}))).files == 3


def test_version_2_is_read(tmp_path: Path) -> None:
    assert read_header(write(tmp_path / "m.gguf", gguf(version=2))).architecture == "llama"


def test_unknown_tensor_type_is_taken_as_it_is(tmp_path: Path) -> None:
    assert read_header(write(tmp_path / "m.gguf", gguf(tensors=[(999, 10**9)]))).architecture == "llama"


@pytest.mark.parametrize("tensors", [[(0, 33)], [(2, 32 * 8)], [(0, 32), (1, 65)]])
def test_file_without_the_end_of_its_data_is_cut_off(tmp_path: Path, tensors: list[tuple[int, int]]) -> None:
    path = write(tmp_path / "m.gguf", gguf(tensors=tensors))
    with pytest.raises(ConfigError, match=r"m\.gguf is cut off: it ends after [\d,]+ of [\d,]+ bytes\. Download"):
        read_header(path)


def test_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = gguf()
    for length in range(4, len(content), 37):
        path = write(tmp_path / "m.gguf", content[:length])
        with pytest.raises(ConfigError, match="is cut off: it ends after"):
            read_header(path)


@given(position=st.integers(4, 700), byte=st.integers(0, 255))
def test_damaged_header_gives_a_header_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    content = bytearray(gguf())
    content[position] = byte
    path = write(tmp_path_factory.getbasetemp() / "damaged.gguf", bytes(content))
    try:
        read_header(path)
    except ConfigError as error:
        assert str(error)  # noqa: PT017  an error is one of two good ends


@pytest.mark.parametrize("content", [b"", b"GGU", b"hello, this is a text", b"\x80\x04pickle"])
def test_other_file_is_no_gguf(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "m.gguf", content)
    with pytest.raises(ConfigError) as caught:
        read_header(path)
    assert str(caught.value) == (
        "m.gguf is no GGUF file: it does not begin with the letters GGUF. "
        "Give a model in the GGUF format, the one that llama.cpp reads."
    )


@pytest.mark.parametrize("version", [1, 4, 0x03000000])
def test_other_version_is_refused(tmp_path: Path, version: int) -> None:
    path = write(tmp_path / "m.gguf", gguf(version=version))
    with pytest.raises(ConfigError, match=f"another kind: it says version {version}; versions 2 and 3"):
        read_header(path)


def pairs(body: bytes, *, tensors: int = 0, count: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, count) + body


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (pairs(b"", count=2**60), "1,152,921,504,606,846,976 pairs"),
        (pairs(b"", tensors=2**40), "1,099,511,627,776 tensors"),
        (pairs(text("x") + struct.pack("<I", 77)), "a value of type 77"),
        (pairs(text("x") + struct.pack("<IIQ", 9, 9, 1)), "a value of type 9"),
        (pairs(text("x") + struct.pack("<IIQ", 9, 8, 2**50)), "1,125,899,906,842,624 items of a list"),
        (pairs(struct.pack("<Q", 70_000) + bytes(80_000)), "a text of 70,000 bytes"),
        (pairs(text("t") + struct.pack("<I", 900), tensors=1, count=0), "a tensor of 900 dimensions"),
    ],
)
def test_hostile_number_is_refused_before_it_is_used(tmp_path: Path, content: bytes, seen: str) -> None:
    path = write(tmp_path / "m.gguf", content)
    with pytest.raises(ConfigError) as caught:
        read_header(path)
    assert caught.value.seen == f"its header tells of {seen}"


def test_length_beyond_the_file_is_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", pairs(text("x") + struct.pack("<IIQQ", 9, 8, 1, 2**62)))
    with pytest.raises(ConfigError, match="is cut off"):
        read_header(path)


def test_long_entries_of_a_list_are_stepped_over(tmp_path: Path) -> None:
    values = {**LLAMA, "tokenizer.ggml.merges": ["x" * 100_000, "y"]}
    assert read_header(write(tmp_path / "m.gguf", gguf(values))).architecture == "llama"


def test_absent_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_header(tmp_path / "none.gguf")
    assert str(caught.value) == (
        "The model file none.gguf cannot be read: No such file or directory. Give the path of a .gguf file."
    )
