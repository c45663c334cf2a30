"""What becomes of a real backup of MariaDB: encrypted, copied off-site over SFTP, pruned, fetched, downloaded, restored."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from tests.engine.mariadb_backups import contents, drop_all, fill, make, name_in, target_of
from tests.keeping.test_encryption import pair
from tests.servers import sshd
from windlass import transfer
from windlass_engine.backups import restore
from windlass_engine.backups.trial import Trial
from windlass_engine.backups.trial import run as try_out
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import catalogue, manifest, offsite, pruning
from windlass_engine.keeping.retention import Policy

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

SECRET = "correct horse, battery"
_MISSING = [name for name in ("age", "restic") if not shutil.which(name)]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"missing: apt-get install {' '.join(_MISSING)}")


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    """A database with everything awkward; those whose names begin as its own go with it."""
    made = mariadb.create_database()
    fill(made)
    yield made
    drop_all(mariadb, name_in(made))


@pytest.fixture
def server() -> Iterator[sshd.Sshd]:
    if not sshd.program():
        pytest.skip("sshd is missing: apt-get install openssh-server")
    running = sshd.Sshd(more="Subsystem sftp internal-sftp\n")
    yield running
    running.remove()


def test_from_the_server_to_a_far_store_and_back(
    mariadb: MariaDBServer, url: str, server: sshd.Sshd, tmp_path: Path
) -> None:
    identity, recipient = pair()
    before, name = contents(url), name_in(url)
    older, newer = (make(url, tmp_path, recipients=(recipient,)) for _ in range(2))
    home, directory = tmp_path / "backups" / name, str(tmp_path / "backups")

    offsite.create(offsite.Repository(str(tmp_path / "far"), SECRET))
    login = f"-p {server.port} -i {server.client_key} {server.common_args} {getpass.getuser()}@127.0.0.1"
    away = offsite.Repository(f"sftp:127.0.0.1:{tmp_path}/far", SECRET, options=(f"sftp.command=ssh {login} -s sftp",))
    for each in (older, newer):
        offsite.copy(away, each["path"], manifest.load(each["path"]))
    gone = pruning.prune(directory, name, Policy(last=1), away)
    assert gone["deleted"] == gone["offsite_deleted"] == [older["id"]]
    offsite.check(away, full=True)

    shutil.rmtree(newer["path"])
    [entry] = catalogue.with_offsite(catalogue.read(directory, [name]), away)[name]
    assert (entry["id"], entry["state"]) == (newer["id"], "off-site")
    assert offsite.fetch(away, offsite.snapshots(away, name)[0], str(home)) == newer["path"]

    with paramiko.SSHClient() as client:
        client.load_host_keys(str(server.known_hosts))
        client.connect("127.0.0.1", server.port, getpass.getuser(), key_filename=str(server.client_key),
                       allow_agent=False, look_for_keys=False)  # fmt: skip
        far = transfer.SftpFiles(client.open_sftp())
        mine = transfer.download(far, newer["path"], tmp_path / "mine")
    with pytest.raises(WindlassError, match="no identity was given"):
        restore.beside(target_of(url), str(mine), f"{name}_side", "", 2, lambda _: None)
    done = restore.beside(target_of(url), str(mine), f"{name}_side", "", 2, lambda _: None, identity)
    assert done["differences"] == [] and contents(mariadb.url_of(f"{name}_side")) == before
    found = try_out(target_of(url), Trial(newer["path"], identity=identity), lambda _: None)
    assert found["failed"] == "", found
