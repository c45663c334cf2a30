"""One target host: booting it, reaching it, and the accidents that tests put it through."""

from __future__ import annotations

import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from testbed import cgroups, machine, network, shell, ssh
from testbed.errors import TestbedError
from testbed.image import Image
from testbed.waiting import LIMIT_S, wait_until

ROLE = "windlass_deploy"
POSTGRESQL_DRIVER, MARIADB_DRIVER = "python3-psycopg", "python3-pymysql"
_NETWORK = """\
[Match]
Name=host0
[Network]
Address={address}/24
LinkLocalAddressing=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
"""


class Host:
    """A host named `name` at `address`; `root` is its file tree as seen from this machine.

    Logins: `deploy` (with sudo) and `root`, both with the testbed's key. PostgreSQL listens on port 5432,
    with the role windlass_deploy, which owns the database salon; the password is the testbed's. MariaDB listens
    on port 3306 once a database was asked of it, with a user of the same name and password.
    """

    def __init__(self, *, slot: int, folder: Path, name: str, number: int, image: Image) -> None:
        self.name = name
        self.address = network.address(slot, 10 + number)
        self.folder = folder / name
        self.root = self.folder / "root"
        self.public_key = ""
        self._slot = slot
        self._image = image
        self._ssh_config = folder / "ssh_config"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, deploy_key: str, neighbours: dict[str, str]) -> None:
        """Lay the host's own layer over the image and write into it who the host is."""
        layer, work = self.folder / "layer", self.folder / "work"
        for folder in (layer, work, self.root):
            folder.mkdir(parents=True)
        options = f"lowerdir={self._image.root},upperdir={layer},workdir={work}"
        shell.run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        self.public_key = ssh.new_key(self.root / "etc/ssh/ssh_host_ed25519_key", self.name)
        self._write_identity(neighbours)
        for home in ("root", "home/deploy"):
            self._authorize(self.root / home / ".ssh", deploy_key)

    def boot(self) -> None:
        """Boot the host and wait until one can log in and PostgreSQL answers.

        Raises TestbedError, or TimeoutError where PostgreSQL alone does not come up.
        """
        self._process = machine.boot(
            self.root,
            group=self.group,
            name=self._machine,
            hostname=self.name,
            bridge=network.bridge(self._slot),
            console=self.folder / "console.log",
        )
        try:
            wait_until(lambda: self._has_ended() or self._greets(), what=f"sshd on {self.name}", every=0.05)
        except TimeoutError as late:
            raise self._failure("did not come up") from late
        # A login of root's would start a user manager, which takes half as many inotify instances again as the host.
        self.console("systemctl is-system-running --wait", check=False)
        wait_until(self._serves, what=f"PostgreSQL on {self.name}", every=0.1)

    def kill(self) -> None:
        """Cut the host's power: every process ends at once. What it wrote stays, and boot() finds it."""
        if network.exists(self._cable):
            self.cut()  # a host without power does not close its connections
        cgroups.kill(self.group)
        if self._process is not None:
            self._process.wait(timeout=LIMIT_S)
            self._process = None
        network.remove(self._cable)

    def cut(self) -> None:
        """Cut the host off: packets from and to it vanish, and neither side is told."""
        network.pull(self._cable)

    def mend(self) -> None:
        """Connect the host again; one that runs can be reached when this ends."""
        network.plug(self._cable)
        if self.running:  # the bridge and the neighbours' tables need a moment
            wait_until(self._greets, what=f"{self.name} behind its mended link", every=0.05)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Cut the host off for the length of a block."""
        self.cut()
        try:
            yield
        finally:
            self.mend()

    def run(
        self,
        command: str,
        *,
        user: str = "root",
        text: str | None = None,
        check: bool = True,
        timeout: float = LIMIT_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command over SSH, with `text` as its input.

        Raises TestbedError when it fails, unless `check` is off (255 is ssh's own failure).
        """
        return shell.run(
            "ssh", "-F", str(self._ssh_config), "-l", user, self.name, command,
            text=text, check=check, timeout=timeout,
        )  # fmt: skip

    def console(
        self, command: str, *, text: str | None = None, check: bool = True, timeout: float = LIMIT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root as if at the host's console: needs neither its network nor its sshd."""
        leader = str(machine.leader(self.group))
        return shell.run(
            "nsenter", "--target", leader, "--all", "--wd=/", "env", "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
            "/bin/sh", "-c", command, text=text, check=check, timeout=timeout,
        )  # fmt: skip

    def psql(self, statements: str, database: str = "salon") -> str:
        """Run SQL as the superuser postgres at the console; return the rows, fields separated by "|"."""
        command = f"runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d {shlex.quote(database)} -f -"
        return self.console(command, text=statements).stdout.rstrip("\n")

    def create_database(self, name: str) -> str:
        """Create an empty database that windlass_deploy owns; return its URI as seen on the host."""
        command = f"runuser -u postgres -- createdb --owner={ROLE} -- {shlex.quote(name)}"
        self.console(command)
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it is there, ending its sessions."""
        self.console(f"runuser -u postgres -- dropdb --if-exists --force -- {shlex.quote(name)}")

    def database_url(self, database: str = "salon", *, from_outside: bool = False) -> str:
        """Return the URI of `database` as windlass_deploy: as seen on the host, or from the network."""
        server = self.address if from_outside else "127.0.0.1"
        return f"postgresql://{ROLE}:{self._image.password}@{server}:5432/{quote(database, safe='')}"

    def mariadb(self, statements: str) -> str:
        """Run SQL as root on MariaDB at the console, started if it is not up; return the rows, tabs between fields."""
        self.console("systemctl start mariadb")
        return self.console("mariadb --batch --skip-column-names", text=statements).stdout.rstrip("\n")

    def create_mariadb_database(self, name: str) -> str:
        """Create an empty database on MariaDB; return its URL as seen on the host."""
        self.mariadb(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return f"mysql://{ROLE}:{self._image.password}@127.0.0.1:3306/{quote(name, safe='')}"

    def drop_mariadb_database(self, name: str) -> None:
        """Drop a database of MariaDB if it is there."""
        self.mariadb(f"DROP DATABASE IF EXISTS `{name}`")

    def remove_driver(self, package: str = POSTGRESQL_DRIVER) -> None:
        """Take a database driver for Python off the host; its apt can install it again, offline."""
        self.console(f"dpkg --purge {package}")

    def install_driver(self, package: str = POSTGRESQL_DRIVER) -> None:
        """Install a database driver for Python, if it is not there."""
        self.console(f"apt-get install -qy {package}")

    @contextmanager
    def without_driver(self, package: str = POSTGRESQL_DRIVER) -> Iterator[None]:
        """Take a database driver for Python away for the length of a block."""
        self.remove_driver(package)
        try:
            yield
        finally:
            self.install_driver(package)

    @contextmanager
    def other_host_key(self) -> Iterator[None]:
        """Let the host answer with another key than the known one for the length of a block."""
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        original = key.read_bytes(), key.with_suffix(".pub").read_bytes()
        ssh.new_key(key, self.name)
        self.console("systemctl restart ssh")
        try:
            yield
        finally:
            key.write_bytes(original[0])
            key.with_suffix(".pub").write_bytes(original[1])
            self.console("systemctl restart ssh")

    @property
    def running(self) -> bool:
        """Whether the host has power."""
        return bool(cgroups.processes(self.group))

    @property
    def group(self) -> str:
        """The control group that holds all of the host's processes."""
        return f"{self._slot}/{self.name}"

    @property
    def _machine(self) -> str:
        return f"wl{self._slot}-{self.name}"

    @property
    def _cable(self) -> str:
        return network.cable(self._machine)

    def _write_identity(self, neighbours: dict[str, str]) -> None:
        hosts = {"localhost": "127.0.0.1", **neighbours}
        files = {
            "hostname": f"{self.name}\n",
            "hosts": "".join(f"{address} {name}\n" for name, address in hosts.items()),
            "systemd/network/10-host0.network": _NETWORK.format(address=self.address),
        }
        for name, content in files.items():
            (self.root / "etc" / name).write_text(content)

    @staticmethod
    def _authorize(folder: Path, deploy_key: str) -> None:
        keys = folder / "authorized_keys"
        keys.write_text(f"{deploy_key}\n")
        keys.chmod(0o644)  # sshd reads it as the account that logs in

    def _has_ended(self) -> bool:
        """Tell that a host that is to boot has not ended.  Raises TestbedError with its last words when it has."""
        if self._process is not None and self._process.poll() is not None:
            raise self._failure("ended while it booted")
        return False

    def _failure(self, what: str) -> TestbedError:
        """Return what is wrong with the host, with its last words."""
        said = (self.folder / "console.log").read_text(errors="replace")
        full = "Too many open files" in said
        hint = " (sysctl fs.inotify.max_user_instances=1024 makes room for more hosts)" if full else ""
        return TestbedError(f"{self.name} {what}{hint}: {said[-400:].strip()}")

    def _greets(self) -> bool:
        with suppress(OSError), socket.create_connection((self.address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def _serves(self) -> bool:
        return self.run("pg_isready --quiet", user="deploy", check=False).returncode == 0
