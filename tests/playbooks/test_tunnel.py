"""Tunnels through a real sshd to a real PostgreSQL: the inventory, host keys, unix sockets, many at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from testbed.waiting import LIMIT_S, wait_until
from tests.servers import sshd as servers
from tests.servers.ports import closed_port
from tests.servers.postgresql import PostgresServer
from tests.servers.sshd import Sshd, make_key
from windlass import tunnel
from windlass.tunnel.forward import Forwarder
from windlass_engine.errors import WindlassError

Write = Callable[..., Path]

pytestmark = pytest.mark.skipif(not servers.program(), reason="sshd is missing: apt-get install openssh-server")


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    server = Sshd()
    yield server
    server.remove()


@pytest.fixture
def own_sshd() -> Iterator[Sshd]:
    server = Sshd()
    yield server
    server.remove()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an environment `here` with one database host, and return the project's folder."""

    def inventory(sshd: Sshd, url: str, *, common: str = "", key: str = "", more: str = "") -> Path:
        folder = tmp_path / "inventories" / "here"
        (folder / "group_vars" / "all").mkdir(parents=True, exist_ok=True)
        (folder / "hosts.yml").write_text(
            f"""\
databases:
  hosts:
    db1:
      ansible_host: 127.0.0.1
      ansible_port: {sshd.port}
      ansible_user: {sshd.user}
      ansible_ssh_private_key_file: "{{{{ inventory_dir }}}}/../../{key or "key"}"
      ansible_ssh_common_args: "{common or sshd.common_args}"
      windlass_databases:
        - name: salon
          system: salon
          url: "{url}"
          password: "{{{{ nobody_defines_this }}}}"
{more}"""
        )
        (tmp_path / "key").write_bytes(sshd.client_key.read_bytes())
        (tmp_path / "key").chmod(0o600)
        return tmp_path

    return inventory


def bare(url: str) -> str:
    """Return a URL without its password."""
    scheme, _, rest = url.partition("://")
    login, _, place = rest.partition("@")
    return f"{scheme}://{login.partition(':')[0]}@{place}"


def ask(url: str, password: str, sql: str = "SELECT current_database()") -> object:
    with psycopg.connect(url, password=password, connect_timeout=60) as connection:
        row = connection.execute(sql).fetchone()
    return row[0] if row else None


def refused(code: str, root: Path, **words: object) -> WindlassError:
    with pytest.raises(WindlassError) as caught:
        tunnel.open("here", root=root, **words).close()  # type: ignore[arg-type]
    assert caught.value.code == code, str(caught.value)
    return caught.value


def tunnel_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tunnel-")]


def test_a_database_answers_through_the_tunnel(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    root = write(sshd, bare(pg.url))
    with tunnel.open("here", root=root) as opened:
        assert opened.local_port != pg.port
        assert f"127.0.0.1:{opened.local_port}/postgres" in opened.url
        assert ask(opened.url, pg.password) == "postgres"
        told = "\n".join(opened.lines())
        assert f"psql postgresql://postgres@127.0.0.1:{opened.local_port}/postgres" in told
        assert pg.password not in told
    assert not tunnel_threads()


def test_a_unix_socket_on_the_target_is_reached(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    root = write(sshd, f"postgresql://postgres@/postgres?host={pg.socket_dir}&port={pg.port}")
    with tunnel.open("here", root=root) as opened:
        assert ask(opened.url, pg.password, "SELECT inet_server_addr() IS NULL") is True
        assert "unix socket" in "\n".join(opened.lines())


def test_twenty_connections_at_once_carry_their_own_data(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    root = write(sshd, bare(pg.url))
    together = threading.Barrier(20)

    def work(number: int) -> int:
        with psycopg.connect(opened.url, password=pg.password, connect_timeout=60) as connection:
            together.wait(timeout=LIMIT_S)
            row = connection.execute("SELECT length(repeat(%s, 300000)), repeat('x', 500000)", [str(number)])
            length, filler = row.fetchone() or (0, "")
            assert len(filler) == 500000
            return int(length)

    with tunnel.open("here", root=root) as opened, ThreadPoolExecutor(20) as pool:
        assert list(pool.map(work, range(20))) == [300000 * len(str(n)) for n in range(20)]
    assert not tunnel_threads()


def test_closing_ends_the_connections_that_are_still_open(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    root = write(sshd, bare(pg.url))
    opened = tunnel.open("here", root=root)
    connection = psycopg.connect(opened.url, password=pg.password)
    opened.close()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", opened.local_port), timeout=5)
    assert not tunnel_threads()


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_never_recorded(
    own_sshd: Sshd, write: Write, pg: PostgresServer
) -> None:
    own_sshd.known_hosts.write_text("")
    common = own_sshd.common_args + " -o StrictHostKeyChecking=no"
    error = refused("host_key_changed", write(own_sshd, bare(pg.url), common=common))
    assert "not on record" in error.message
    assert fingerprint(own_sshd.host_key) in error.message
    assert own_sshd.known_hosts.read_text() == ""
    assert own_sshd.known_hosts.name in error.hint
    # What the hint says to type is what makes the host known.
    line = error.hint.partition("echo '")[2].partition("'")[0]
    own_sshd.known_hosts.write_text(line + "\n")
    with tunnel.open("here", root=write(own_sshd, bare(pg.url))) as opened:
        assert ask(opened.url, pg.password) == "postgres"


def test_a_changed_host_key_is_refused_and_names_the_line(
    own_sshd: Sshd, write: Write, pg: PostgresServer, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    make_key(other, "ed25519")
    own_sshd.record(other)
    error = refused("host_key_changed", write(own_sshd, bare(pg.url)))
    assert f"{own_sshd.known_hosts}:1 {fingerprint(other)}" in error.message
    assert f"ssh-keygen -R '[127.0.0.1]:{own_sshd.port}' -f {own_sshd.known_hosts}" in error.hint


def test_a_host_with_only_its_rsa_key_on_record_is_asked_for_that_one(
    write: Write, pg: PostgresServer, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    make_key(second, "rsa")
    server = Sshd(more=f"HostKey {second}\n")
    try:
        server.record(second)
        with tunnel.open("here", root=write(server, bare(pg.url))) as opened:
            assert ask(opened.url, pg.password) == "postgres"
    finally:
        server.remove()


def test_a_bastion_is_passed_and_its_own_key_is_checked(
    sshd: Sshd, own_sshd: Sshd, write: Write, pg: PostgresServer, tmp_path: Path
) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host bastion\n HostName 127.0.0.1\n Port {own_sshd.port}\n User {own_sshd.user}\n"
        f" IdentityFile {own_sshd.client_key}\n UserKnownHostsFile {own_sshd.known_hosts}\n"
    )
    common = f"-F {config} -o ProxyJump=bastion -o UserKnownHostsFile={sshd.known_hosts}"
    root = write(sshd, bare(pg.url), common=common)
    with tunnel.open("here", root=root) as opened:
        assert ask(opened.url, pg.password) == "postgres"
        assert f"127.0.0.1:{own_sshd.port} -> " in "\n".join(opened.lines())
    own_sshd.known_hosts.write_text("")
    assert f"[127.0.0.1]:{own_sshd.port}" in refused("host_key_changed", root).message


def test_the_key_of_an_agent_lets_in(
    sshd: Sshd,
    write: Write,
    pg: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    agent: Callable[[Path], str],
) -> None:
    root = write(sshd, bare(pg.url), key="not-there")
    refused_by = refused("tunnel_failed", root)
    assert "does not let" in refused_by.message
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(sshd.client_key))
    with tunnel.open("here", root=root) as opened:
        assert ask(opened.url, pg.password) == "postgres"


def test_variables_out_of_a_vault_file_are_read(
    sshd: Sshd, write: Write, pg: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(sshd, "{{ vaulted_url }}")
    secret = tmp_path / "vault-password"
    secret.write_text("opensesame\n")
    monkeypatch.setattr("ansible.constants.DEFAULT_VAULT_PASSWORD_FILE", str(secret))
    vault_file = root / "inventories" / "here" / "group_vars" / "all" / "vault.yml"
    vault_file.write_bytes(encrypted(f'vaulted_url: "{pg.url}"\n', b"opensesame"))
    with tunnel.open("here", root=root) as opened:
        assert pg.password not in opened.url
        assert ask(opened.url, pg.password) == "postgres"


def test_a_taken_port_is_said_and_leaves_no_thread(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    root = write(sshd, bare(pg.url))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = refused("tunnel_failed", root, local_port=taken.getsockname()[1])
    assert "taken" in error.message
    assert not tunnel_threads()


def test_a_database_that_is_not_there_is_said_at_once(sshd: Sshd, write: Write) -> None:
    with closed_port() as port:
        error = refused("database_unreachable", write(sshd, f"postgresql://me@127.0.0.1:{port}/salon"))
    assert f"127.0.0.1:{port}" in error.message
    missing = refused("database_unreachable", write(sshd, "postgresql://me@/salon?host=/nowhere"))
    assert "/nowhere/.s.PGSQL.5432" in missing.message


def test_forwarding_forbidden_by_sshd_is_told_apart(write: Write, pg: PostgresServer) -> None:
    server = Sshd(more="AllowTcpForwarding no\n")
    try:
        assert "forbids" in refused("tunnel_failed", write(server, bare(pg.url))).message
    finally:
        server.remove()


def test_a_host_that_does_not_answer(own_sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    own_sshd.stop()
    error = refused("host_unreachable", write(own_sshd, bare(pg.url)))
    assert error.where == {"host": "db1", "database": "salon"}


class Thoughtful:
    """A connection to a server that answers at once, and then thinks for a while."""

    def __init__(self, port: int, seconds: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._pauses = [0.0, seconds]
        self.sendall, self.shutdown, self.close = self._socket.sendall, self._socket.shutdown, self._socket.close

    def recv(self, size: int, /) -> bytes:
        if self._pauses:
            time.sleep(self._pauses.pop(0))
        return self._socket.recv(size)


def test_a_slow_host_that_has_answered_gets_time(own_sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    """The time to connect, which plays have as well, is not that for agreeing on keys and for logging in."""
    genuine = own_sshd.port
    slow = Forwarder(lambda: Thoughtful(genuine, 2.5))
    own_sshd.port = slow.port
    own_sshd.record(own_sshd.host_key)
    try:
        root = write(own_sshd, bare(pg.url), more="      ansible_ssh_timeout: 1\n")
        with tunnel.open("here", root=root) as opened:
            assert ask(opened.url, pg.password) == "postgres"
    finally:
        own_sshd.port = genuine
        slow.close()


def test_a_link_that_ends_is_said_by_serve(own_sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    opened = tunnel.open("here", root=write(own_sshd, bare(pg.url)))
    own_sshd.stop()
    with pytest.raises(WindlassError) as caught:
        opened.serve()
    assert caught.value.code == "connection_lost"
    assert not tunnel_threads()


def test_serve_ends_when_it_is_told_to(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    opened = tunnel.open("here", root=write(sshd, bare(pg.url)))
    stop = threading.Event()
    serving = threading.Thread(target=opened.serve, args=[stop])
    serving.start()
    assert ask(opened.url, pg.password) == "postgres"
    stop.set()
    serving.join(timeout=LIMIT_S)
    assert not serving.is_alive()
    assert not tunnel_threads()


def test_which_database_has_to_be_said_where_there_are_several(sshd: Sshd, write: Write, pg: PostgresServer) -> None:
    root = write(sshd, bare(pg.url), more=f"        - {{name: other, system: salon, url: '{bare(pg.url)}'}}\n")
    assert "--host db1 --database other" in refused("usage", root).hint
    assert "--host db1 --database other" in refused("usage", root, database="third").hint
    assert "--host db1 --database other" in refused("usage", root, host="nowhere").hint
    with pytest.raises(WindlassError, match="no environment elsewhere"):
        tunnel.open("elsewhere", root=root)
    with tunnel.open("here", database="other", root=root) as opened:
        assert opened.database == "other"


def test_a_host_that_is_not_reached_over_ssh_is_refused_with_the_direct_way(sshd: Sshd, write: Write) -> None:
    root = write(sshd, "postgresql:///salon?host=/tmp")
    hosts = root / "inventories" / "here" / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("ansible_user:", "ansible_connection: local\n      ansible_user:"))
    assert "psql 'postgresql:///salon?host=/tmp'" in refused("tunnel_failed", root).hint


def test_a_later_failure_reaches_the_caller_and_the_tunnel_goes_on(sshd: Sshd, write: Write, tmp_path: Path) -> None:
    place = tmp_path / ".s.PGSQL.5432"
    errors: list[WindlassError] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()
    with tunnel.open("here", root=write(sshd, f"postgresql:///x?host={tmp_path}"), on_error=errors.append) as opened:
        listener.close()
        with socket.create_connection(("127.0.0.1", opened.local_port)) as client:
            assert client.recv(1) == b""
        wait_until(lambda: errors, what="the error of the failed connection")
        assert errors[0].code == "database_unreachable"
        place.unlink()
        with socket.socket(socket.AF_UNIX) as again:
            again.bind(str(place))
            again.listen()
            with socket.create_connection(("127.0.0.1", opened.local_port)) as client:
                far, _ = again.accept()
                client.sendall(b"ask")
                client.shutdown(socket.SHUT_WR)
                assert far.makefile("rb").read() == b"ask"
                far.sendall(b"answer after the end of the question")
                far.close()
                assert client.makefile("rb").read() == b"answer after the end of the question"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Start an ssh-agent that holds a key, and return its socket."""
    import subprocess

    place = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)

    def load(key: Path) -> str:
        wait_until(lambda: listens(place), what="the agent")
        subprocess.run(["ssh-add", "-q", str(key)], env={"SSH_AUTH_SOCK": place, "PATH": "/usr/bin:/bin"}, check=True)
        return place

    yield load
    process.kill()
    process.wait()


def listens(place: str) -> bool:
    """Return whether somebody takes connections at a unix socket: its file comes a moment before that."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(place)
        return True
    return False


def fingerprint(key: Path) -> str:
    """Return a key's fingerprint as ssh-keygen tells it."""
    import subprocess

    told = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True)
    return told.stdout.split()[1]


def encrypted(text: str, password: bytes) -> bytes:
    from ansible.parsing.vault import VaultLib, VaultSecret

    return bytes(VaultLib([("default", VaultSecret(password))]).encrypt(text))
