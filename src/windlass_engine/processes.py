"""The only place on the target that starts processes.

A process gets no terminal, no standard input and no shell.  Secrets reach it by its environment only, and its words
come back shortened and without them.  Whoever starts one looks at how it ended: :func:`run` and :meth:`Process.wait`
give the exit status, and a process that is left behind is ended.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Callable, Optional, Union
from urllib.parse import quote

#: Called a few times a second while a process works, with the seconds elapsed.
Tick = Callable[[float], None]
#: Takes a line of what a process says, and returns whether it is one of its words or only noise.
Heed = Callable[[bytes], bool]

_TICK_S = 0.2
_LOOK_S = 0.02
_PATIENCE_S = 5.0
#: Characters of a process's words that are kept: the first half says what broke, the last half how it ended.
_KEPT = 16_384


@dataclass(frozen=True)
class Finished:
    """How a process ended: ``code`` is 0 for success, negative for a signal; the texts are bounded and scrubbed."""

    code: int
    output: str
    errors: str

    @property
    def how(self) -> str:
        """Return how it ended, in words, with the last lines that it said."""
        ending = f"was killed by {_signal_name(-self.code)}" if self.code < 0 else f"ended with exit status {self.code}"
        said = [line.strip() for line in self.errors.splitlines() if line.strip()]
        return ": ".join([ending, "; ".join(said[-4:])] if said else [ending])


class Process:
    """A started process; leaving the ``with`` block ends it and all that it started.

    Nobody takes note of its end before that: as long as it is listed, no other process gets its number, and no other
    group can be meant by it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        secrets: Sequence[str] = (),
        held: Sequence[int] = (),
        output: Union[IO[bytes], int, None] = None,
        source: Optional[int] = None,
        heed: Optional[Heed] = None,
    ) -> None:
        """Start ``argv``.  Raise OSError.

        ``held`` are file descriptors that it keeps open.  ``output`` is a file or descriptor that takes its standard
        output whole, where that is data and not words; ``source`` is the descriptor of its standard input, if any.
        ``heed`` is given each line of its standard error as it comes, in another thread, and says whether to keep it.
        """
        self._secrets = secrets
        self._began = time.monotonic()
        self._code: Optional[int] = None
        with _whole(self):
            self._process = subprocess.Popen(
                list(argv), env=environment(env), stdin=subprocess.DEVNULL if source is None else source,
                stdout=subprocess.PIPE if output is None else output, stderr=subprocess.PIPE, pass_fds=tuple(held),
                start_new_session=True, umask=0o077,
            )  # fmt: skip
            self._output = _Drain(self._process.stdout)
            self._errors = _Drain(self._process.stderr, heed)

    def __enter__(self) -> Process:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process if it is still there."""
        self.end()

    @property
    def pid(self) -> int:
        """Return the process's number, which is also its group's."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        if self._code is None:
            self._code = _exit_code(self._process)
        return self._code is not None

    def pause(self) -> None:
        """Wait for the end, but only for a moment."""
        self._ended_within(_TICK_S)

    def wait(self, tick: Optional[Tick] = None) -> Finished:
        """Wait for the end."""
        while True:
            if not self._ended_within(_TICK_S):
                if tick:
                    tick(time.monotonic() - self._began)
                continue
            return Finished(self._code or 0, self._text(self._output), self._text(self._errors))

    def _ended_within(self, seconds: float) -> bool:
        """Wait for the end for so long; return whether it came."""
        if self.has_ended():
            return True
        try:
            handle = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):  # an old kernel: look now and then
            deadline = time.monotonic() + seconds
            while not self.has_ended() and time.monotonic() < deadline:
                time.sleep(_LOOK_S)
            return self.has_ended()
        try:
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.poll(seconds * 1000)
        finally:
            os.close(handle)
        return self.has_ended()

    def end(self) -> None:
        """Ask the whole group to end, then make it."""
        if self._process.returncode is None:
            if not self.has_ended():
                self._signal(signal.SIGTERM)
                self._ended_within(_PATIENCE_S)
            # Also when the process itself has ended: a helper of its own may have been left behind.
            self._signal(signal.SIGKILL)
            self._process.wait()
            self.has_ended()
        self._output.join()
        self._errors.join()

    @contextmanager
    def ended_on_failure(self) -> Iterator[None]:
        """End the process, where it was started, when the block fails."""
        try:
            yield
        except BaseException:
            if hasattr(self, "_errors"):
                self.end()
            raise

    def _signal(self, number: int) -> None:
        """Signal the process and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _text(self, drain: _Drain) -> str:
        """Return what came out, without secrets."""
        return scrub(drain.text(), self._secrets)


@contextmanager
def _whole(started: Process) -> Iterator[None]:
    """Let a SIGTERM that somebody handles wait until a start is over, and end what was started then.

    Raised in its middle, it would leave a program that nobody knows of, with all that it holds.
    """
    usual = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    came: list[tuple[int, Any]] = []
    signal.signal(signal.SIGTERM, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
        if came:
            with started.ended_on_failure():
                usual(*came[0])


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    secrets: Sequence[str] = (),
    tick: Optional[Tick] = None,
    heed: Optional[Heed] = None,
) -> Finished:
    """Run a process to its end.  Raise OSError when it cannot be started."""
    with Process(argv, env, secrets=secrets, heed=heed) as process:
        return process.wait(tick)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with ``own`` on top, and messages in English so that they can be read."""
    return {**os.environ, "LC_ALL": "C", "LANGUAGE": "", **own}


def scrub(text: str, secrets: Sequence[str]) -> str:
    """Return a text with each secret, also as a URL spells it, replaced by asterisks."""
    spelled = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote(secret))}
    for form in sorted(spelled, key=len, reverse=True):
        text = text.replace(form, "********")
    return text


class _Drain:
    """Reads a pipe to its end in the background, so that the process never waits for its reader."""

    def __init__(self, pipe: Optional[IO[bytes]], heed: Optional[Heed] = None) -> None:
        """Start to read."""
        self._pipe = pipe
        self._heed = heed
        self._line = b""
        self._head = b""
        self._tail = b""
        self._dropped = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return what was said, without its middle when it was long."""
        self.join()
        gap = b"\n[...]\n" if self._dropped else b""
        return (self._head + gap + self._tail).decode("utf-8", "replace")

    def join(self) -> None:
        """Wait for the pipe's end; a helper that keeps it open does not keep us."""
        self._thread.join(_PATIENCE_S)

    def _read(self) -> None:
        """Keep the first and the last part."""
        if self._pipe is None:
            return
        with self._pipe as pipe:
            while True:
                chunk = os.read(pipe.fileno(), 65536)
                self._keep(self._sifted(chunk) if self._heed else chunk)
                if not chunk:
                    return

    def _keep(self, chunk: bytes) -> None:
        """Keep what belongs to the first or the last part."""
        room = _KEPT // 2 - len(self._head)
        self._head += chunk[: max(room, 0)]
        rest = self._tail + chunk[max(room, 0) :]
        self._dropped = self._dropped or len(rest) > _KEPT // 2
        self._tail = rest[-_KEPT // 2 :]

    def _sifted(self, chunk: bytes) -> bytes:
        """Return the whole lines up to here that are to be kept; at the end (an empty chunk) what is left, too."""
        *lines, self._line = (self._line + chunk).splitlines(keepends=True) or [b""]
        if not chunk or self._line.endswith(b"\n") or len(self._line) > _KEPT:
            lines, self._line = [*lines, self._line], b""
        return b"".join(line for line in lines if self._heed and self._heed(line))


def _exit_code(process: subprocess.Popen[bytes]) -> Optional[int]:
    """Return the exit status of a process that has ended, negative for a signal, and leave the process listed."""
    if process.returncode is not None:
        return int(process.returncode)
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # where nobody listens for children, they go by themselves
        return process.poll()
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _signal_name(number: int) -> str:
    """Return a signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
