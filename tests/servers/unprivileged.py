"""Commands that start a server which refuses to run as root, and which ends with the test run."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

_ACCOUNTS = ("postgres", "nobody")


def account() -> pwd.struct_passwd | None:
    """Return the account that servers run under, or None when this process is unprivileged already."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(names[name] for name in _ACCOUNTS if name in names)


def command(arguments: list[str], *, dies_with_parent: bool = False) -> list[str]:
    """Return `arguments` wrapped so that they run unprivileged and, if asked, die with this process.

    The one privilege left is to read any file: the virtual environment with the server's binaries may
    lie below a folder such as /root that other accounts cannot enter.
    """
    setpriv = shutil.which("setpriv")
    user = account()
    if setpriv is None:
        if user is not None:
            raise RuntimeError("setpriv (package util-linux) is needed to start a server as root")
        return arguments
    wrapped = [setpriv]
    if dies_with_parent:
        wrapped += ["--pdeathsig", "KILL"]
    if user is not None:
        wrapped += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        wrapped += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*wrapped, "--", *arguments]


def give(path: Path) -> None:
    """Make the servers' account the owner of `path`."""
    user = account()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)
