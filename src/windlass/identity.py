"""The age identity that opens encrypted backups: a file on the control node, read only when something is restored."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from windlass_engine.errors import WindlassError

VARIABLE = "WINDLASS_AGE_IDENTITY"


def read(name: str = "") -> str:
    """Return the identity out of the named file, or the one that $WINDLASS_AGE_IDENTITY names; "" without either.

    Raises WindlassError (preflight_failed) for a file that cannot be read, or that others may read.
    """
    name = name or os.environ.get(VARIABLE, "")
    if not name:
        return ""
    path = Path(name).expanduser()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WindlassError(
            "preflight_failed", f"the identity file {path} cannot be read: {getattr(error, 'strerror', 'no text')}",
            hint=f"let {VARIABLE} name the file that age-keygen wrote",
        ) from None  # fmt: skip
    if mode & 0o077:
        raise WindlassError(
            "preflight_failed", f"the identity file {path} has mode {mode:04o}: others may read it",
            hint=f"chmod 0600 {path}",
        )  # fmt: skip
    return text
