"""An OpenSSH server of the tests' own on a loopback port, with its own host key and one key that may log in."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from testbed.waiting import wait_until
from tests.servers.ports import free_port

_CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
PidFile {folder}/pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
"""


class Sshd:
    """A running sshd; `client_key` lets `user` in, `known_hosts` holds its host key."""

    def __init__(self, *, more: str = "", key_type: str = "ed25519") -> None:
        self.user = getpass.getuser()
        self.folder = Path(tempfile.mkdtemp(prefix="windlass-sshd-"))
        self.client_key = self.folder / "client_key"
        self.host_key = self.folder / "host_key"
        self.known_hosts = self.folder / "known_hosts"
        make_key(self.client_key, "ed25519")
        make_key(self.host_key, key_type)
        self.configuration = self.folder / "sshd_config"
        for _attempt in range(3):  # the port may be taken between the look and the start
            self.port = free_port()
            self.record(self.host_key)
            self.configuration.write_text(_CONFIGURATION.format(port=self.port, folder=self.folder) + more)
            with suppress(RuntimeError):
                self.start()
                return
        raise RuntimeError(f"sshd ended: {(self.folder / 'log').read_text()}")

    @property
    def common_args(self) -> str:
        """Return the ssh options that a host of the inventory needs to know this server."""
        return f"-o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=/dev/null -F /dev/null"

    def record(self, key: Path) -> None:
        """Make the public part of `key` the one on record for this server."""
        kind, public = key.with_suffix(".pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {public}\n")

    def start(self) -> None:
        """Start, and wait for the banner."""
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program(), "-D", "-e", "-f", str(self.configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._listens, what="sshd")

    def stop(self) -> None:
        """End the listener and every connection it serves; once is enough: its number may be another's by then."""
        if self._process.poll() is not None:
            return
        family = _descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        for pid in family:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Stop and delete the folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"sshd ended: {(self.folder / 'log').read_text()}")
        return "Server listening" in (self.folder / "log").read_text()


def _descendants(pid: int) -> list[int]:
    """Return the processes below one: sshd has one or two for a connection, as its account allows."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [descendant for child in found for descendant in (int(child), *_descendants(int(child)))]


def make_key(path: Path, key_type: str) -> None:
    """Write a new key pair without a passphrase."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", key_type, "-N", "", "-C", "", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def program() -> str:
    """Return the path of sshd, which has to be absolute, or an empty string."""
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin") or ""
