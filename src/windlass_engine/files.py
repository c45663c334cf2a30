"""Files that appear whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Optional, TextIO


@contextmanager
def replacing(path: str, mode: int = 0o600, newline: Optional[str] = None) -> Iterator[TextIO]:
    """Give a file to write that takes its name when the block ends well: whoever reads sees the old text or the new.

    ``mode`` is what others may, whatever the umask says; ``newline`` is as in :func:`open`.  Raise OSError.
    """
    with replacing_bytes(path, mode) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline=newline)
        yield text
        text.flush()
        text.detach()


@contextmanager
def replacing_bytes(path: str, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Do the same for a file that is no text: each writer has one of its own until then.  Raise OSError."""
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
