"""Where the server's data lies: on a file system of its own if this process may mount one.

Elsewhere other people's files are in the way.  One without a journal, for instance, is slow for minutes to make files
where others were deleted, and would charge whoever comes next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_SIZE = 16 * 2**30  # sparse: only what is used takes room


class Disk:
    """A folder for data; ``kind`` says in words what it lies on."""

    def __init__(self) -> None:
        """Make the folder, and mount a fresh file system there where that is allowed."""
        self._home = Path(tempfile.mkdtemp(prefix="windlass-bench-"))
        self._home.chmod(0o711)
        self.folder = self._home / "data"
        self.folder.mkdir()
        self._mounted = self._mount()
        self.kind = "a fresh ext4 with a journal, on a loop device" if self._mounted else "the temporary folder's disk"

    def close(self) -> None:
        """Leave nothing behind."""
        if self._mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def _mount(self) -> bool:
        """Return whether a file system could be made and mounted."""
        if os.geteuid() != 0 or not (shutil.which("mkfs.ext4") and shutil.which("mount")):
            return False
        image = self._home / "image"
        with image.open("wb") as file:
            file.truncate(_SIZE)
        whole = "lazy_itable_init=0,lazy_journal_init=0"
        commands = (["mkfs.ext4", "-q", "-F", "-E", whole], ["mount", "-o", "loop"])
        places = ([str(image)], [str(image), str(self.folder)])
        for command, place in zip(commands, places, strict=True):
            if subprocess.run([*command, *place], capture_output=True, check=False).returncode:
                return False
        return True
