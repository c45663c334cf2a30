"""Starting programs, with their own words in the error when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from testbed.errors import TestbedError
from testbed.waiting import LIMIT_S


def run(
    *arguments: str,
    text: str | None = None,
    check: bool = True,
    timeout: float = LIMIT_S,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program, with `text` as its standard input, and return what it printed.

    Raises TestbedError when it fails (unless `check` is off) or takes longer than `timeout` seconds.
    """
    stdin = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=timeout, env=env, **stdin)
    except subprocess.TimeoutExpired as expired:
        raise TestbedError(f"{arguments[0]} was not done after {timeout:g} s: {' '.join(arguments)}") from expired
    if check and done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise TestbedError(f"{' '.join(arguments)} ended with {done.returncode}:\n{said}")
    return done
