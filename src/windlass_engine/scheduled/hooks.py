"""Word to others about a job: a webhook that takes start, success and failure, and a command.

Neither can make a job fail.  What went wrong comes back as a text, without the address, which is a secret.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from .. import processes

START, SUCCESS, FAILURE = "start", "success", "failure"
#: What is added to the address, as healthchecks and its like want it.
_PATHS = {START: "/start", SUCCESS: "", FAILURE: "/fail"}
_COMMAND_PATIENCE_S = 60.0
#: How an end is told is tried again after these pauses: it would be lost, or look like a job that hangs.
PAUSES_S = (1.0, 5.0)


def ping(address: str, moment: str, message: str = "", timeout_s: float = 10.0) -> str:
    """Tell a webhook that a job starts, or how it ended; return what went wrong, "" when it was told."""
    wrong, again = _told(address, moment, message, timeout_s)
    for pause_s in () if moment == START else PAUSES_S:
        if not again:
            break
        time.sleep(pause_s)
        wrong, again = _told(address, moment, message, timeout_s)
    return wrong


def _told(address: str, moment: str, message: str, timeout_s: float) -> tuple[str, bool]:
    """Return what went wrong, and whether it may go well another time."""
    parts = urlsplit(address)
    url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + _PATHS[moment]))
    request = Request(url, data=message.encode(), headers={"Content-Type": "text/plain; charset=utf-8"})
    try:
        with urlopen(request, timeout=timeout_s) as answer:
            answer.read(1024)
    except HTTPError as error:
        return f"the webhook answered {error.code}", error.code >= 500 or error.code == 429
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", "") or error or type(error).__name__)
        return f"the webhook was not reached: {processes.scrub(reason, [address, url])}", True
    return "", False


def command(path: str, told: Mapping[str, str]) -> str:
    """Run a command with ``told`` in its environment as ``WINDLASS_…``; return what went wrong, "" when nothing did."""
    own = {f"WINDLASS_{key.upper()}": value for key, value in told.items()}
    try:
        with processes.Process([path], own) as process:
            ended = process.wait(_impatient)
    except TimeoutError:
        return f"the command {path} was ended after {_COMMAND_PATIENCE_S:.0f} s"
    except OSError as error:
        return f"the command {path} cannot be run: {error.strerror}"
    return f"the command {path} {ended.how}" if ended.code else ""


def _impatient(elapsed_s: float) -> None:
    if elapsed_s > _COMMAND_PATIENCE_S:
        raise TimeoutError
