"""Decompressing in passing what pg_dump writes: gzip by the standard library, zstd by the host's own library.

The host that has a pg_dump with zstd has its library too; where it cannot be loaded, whoever asks has to do without.
"""

from __future__ import annotations

import ctypes
import zlib
from functools import lru_cache
from typing import Any, Optional, Protocol

_LIBRARY = "libzstd.so.1"
_OUT_BYTES = 1 << 20


class Unpacker(Protocol):
    """Turns compressed bytes into plain ones."""

    def unpack(self, data: bytes) -> list[bytes]:
        """Return what comes out of the next bytes.  Raise ValueError when they are damaged."""

    def close(self) -> None:
        """Raise ValueError when the compressed data is not at its end."""


def has_zstd() -> bool:
    """Return whether zstd can be decompressed here."""
    return _zstd() is not None


def unpacker(name: str) -> Unpacker:
    """Return what decompresses a file of this name.  Raise OSError for zstd where its library is missing."""
    return Gzip() if name.endswith(".gz") else Zstd() if name.endswith(".zst") else Plain()


class Plain:
    """Nothing to be done."""

    def unpack(self, data: bytes) -> list[bytes]:
        """Return the data itself."""
        return [data]

    def close(self) -> None:
        """Plain data may end anywhere."""


class Gzip:
    """One gzip member, checked against its own sum."""

    def __init__(self) -> None:
        """Begin."""
        self._engine = zlib.decompressobj(wbits=31)

    def unpack(self, data: bytes) -> list[bytes]:
        """Return what comes out."""
        if self._engine.eof:
            raise ValueError("goes on after its end")
        try:
            plain = self._engine.decompress(data)
        except zlib.error as error:
            raise ValueError(f"cannot be decompressed: {error}") from None
        if self._engine.unused_data:
            raise ValueError("goes on after its end")
        return [plain]

    def close(self) -> None:
        """Look for the end."""
        if not self._engine.eof:
            raise ValueError("is cut short")


class _Buffer(ctypes.Structure):
    """The library's view of a piece of memory, and how far it got in it."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t))


class Zstd:
    """Frames of zstd."""

    def __init__(self) -> None:
        """Begin.  Raise OSError where the library is missing."""
        library = _zstd()
        if library is None:
            raise OSError(f"{_LIBRARY} cannot be loaded")
        self._library = library
        self._stream = ctypes.c_void_p(library.ZSTD_createDStream())
        self._room = ctypes.create_string_buffer(_OUT_BYTES)
        self._wanted = 1

    def __del__(self) -> None:
        """Give the library's memory back."""
        if hasattr(self, "_stream"):
            self._library.ZSTD_freeDStream(self._stream)

    def unpack(self, data: bytes) -> list[bytes]:
        """Return what comes out, in pieces."""
        source = _Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
        pieces: list[bytes] = []
        full = False
        while source.at < source.size or full:
            out = _Buffer(ctypes.addressof(self._room), _OUT_BYTES, 0)
            self._wanted = self._library.ZSTD_decompressStream(self._stream, ctypes.byref(out), ctypes.byref(source))
            if self._library.ZSTD_isError(self._wanted):
                name = self._library.ZSTD_getErrorName(self._wanted).decode()
                raise ValueError(f"cannot be decompressed: {name}")
            pieces.append(ctypes.string_at(self._room, out.at))
            full = out.at == out.size and self._wanted != 0
        return pieces

    def close(self) -> None:
        """Look for the end of the last frame."""
        if self._wanted != 0:
            raise ValueError("is cut short")


@lru_cache(maxsize=1)
def _zstd() -> Optional[Any]:
    """Return the library, or None."""
    try:
        library = ctypes.CDLL(_LIBRARY)
        library.ZSTD_createDStream.restype = ctypes.c_void_p
        for name in ("ZSTD_decompressStream", "ZSTD_freeDStream"):
            getattr(library, name).restype = ctypes.c_size_t
        library.ZSTD_isError.argtypes = library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
        library.ZSTD_getErrorName.restype = ctypes.c_char_p
    except (OSError, AttributeError):
        return None
    return library
