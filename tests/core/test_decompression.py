"""Bodies are decompressed as zlib does it, whatever the pieces in which they come."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexio_async._engine.decompression import DecompressionError, Decompressor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIECE = 256 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
}


def unpacked(encoding: str, chunks: Sequence[bytes]) -> bytes:
    decompressor = Decompressor(encoding)
    data = b"".join(piece for chunk in chunks for piece in decompressor.feed(chunk))
    decompressor.finish()
    return data


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("packer", PACKERS)
@given(content=st.binary(), repeated=st.integers(1, 5000), size=st.integers(1, 40_000))
def test_what_was_packed_comes_out(packer: str, content: bytes, repeated: int, size: int) -> None:
    encoding, pack = PACKERS[packer]
    packed = pack(content * repeated)
    assert unpacked(encoding, split(packed, max(size, len(packed) // 200))) == content * repeated


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("chunk", [1, 10**9], ids=["bytes", "whole"])
def test_content_of_exactly_a_piece_is_whole(packer: str, size: int, chunk: int) -> None:
    encoding, pack = PACKERS[packer]
    assert unpacked(encoding, split(pack(b"x" * size), chunk)) == b"x" * size


@given(
    contents=st.lists(st.binary(), min_size=1, max_size=5), zeros=st.integers(0, 3), size=st.integers(1, 99)
)
def test_gzip_may_hold_several_streams_filled_up_with_zeros(
    contents: list[bytes], zeros: int, size: int
) -> None:
    packed = b"".join(gzip.compress(content) + b"\0" * zeros for content in contents)
    assert unpacked("gzip", split(packed, size)) == b"".join(contents)


def test_pieces_are_of_limited_size() -> None:
    pieces = list(Decompressor("gzip").feed(gzip.compress(b"x" * 50_000_000)))
    assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize("packer", PACKERS)
@given(content=st.binary(min_size=1), cut=st.integers(1, 10_000))
def test_what_is_cut_off_is_damaged(packer: str, content: bytes, cut: int) -> None:
    encoding, pack = PACKERS[packer]
    packed = pack(content)
    with pytest.raises(DecompressionError):
        unpacked(encoding, [packed[: max(1, len(packed) - cut)]])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_packed_is_damaged(encoding: str) -> None:
    with pytest.raises(DecompressionError):
        unpacked(encoding, [b"hello, world"])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_no_body_at_all_is_not_damaged(encoding: str) -> None:
    assert unpacked(encoding, []) == b""


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "snappy"])
def test_other_encodings_are_not_known(encoding: str) -> None:
    with pytest.raises(LookupError):
        Decompressor(encoding)
