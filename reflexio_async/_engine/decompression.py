"""Decompression of response bodies in pieces of limited size, so that a small body cannot fill the memory.

aiohttp decompresses what arrived at once and without a limit, up to version 3.13.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
"""What a request may say in Accept-Encoding."""

_SLICE = 16 * 1024  # of input; what follows the end of a stream is copied for every stream in it
_PIECE = 256 * 1024  # of output
_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


class DecompressionError(Exception):
    """The body is damaged, or not compressed as its header says."""


class Decompressor:
    """Decompresses one body of the Content-Encoding ``gzip`` or ``deflate``.

    Raises:
        LookupError: It is another encoding.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower().removeprefix("x-")
        if self._encoding not in ("gzip", "deflate"):
            raise LookupError(encoding)
        self._stream = zlib.decompressobj(_GZIP)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` decompresses to, in pieces.

        Raises:
            DecompressionError: The data is damaged.
        """
        for start in range(0, len(data), _SLICE):
            try:
                yield from self._decompress(data[start : start + _SLICE])
            except zlib.error as error:
                raise DecompressionError from error

    def finish(self) -> None:
        """Check that the body ended where the data ended.

        Raises:
            DecompressionError: It did not.
        """
        if self._started and not self._stream.eof:
            raise DecompressionError

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        more = False  # whether there may be more output without more input
        while data or more:
            if not self._started:
                self._started = True
                # "deflate" means zlib's format; its first byte ends in 8. Some servers send only its content.
                if self._encoding == "deflate":
                    self._stream = zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0xF == 8 else _RAW)
            elif self._stream.eof:
                # A gzip body may be several, one after another, filled up with zeros.
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._stream = zlib.decompressobj(_GZIP)
            piece = self._stream.decompress(data, _PIECE)
            if piece:
                yield piece
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            more = len(piece) == _PIECE and not self._stream.eof
