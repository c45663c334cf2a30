"""Plain data as one opaque string, so that nothing between two machines can rewrite, scan or copy its parts.

Ansible replaces every occurrence of a secret in what a module returns.  A password that happens to be a common word
would so change a migration's name or its SQL; packed data is out of its reach.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection
from typing import Any

_BRAILLE = 0x2800  # 256 signs that no password is likely to hold


def pack(value: Any, avoid: Collection[str] = ()) -> str:
    """Return JSON-able data as one string that holds none of the texts in ``avoid``."""
    data = zlib.compress(json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii"), 1)
    text = base64.b64encode(data).decode("ascii")
    if any(secret in text for secret in avoid if secret):
        return "".join(chr(_BRAILLE + byte) for byte in data)
    return text


def unpack(text: str) -> Any:
    """Return what :func:`pack` was given."""
    plain = text.isascii()
    data = base64.b64decode(text) if plain else bytes(ord(sign) - _BRAILLE for sign in text)
    return json.loads(zlib.decompress(data))
