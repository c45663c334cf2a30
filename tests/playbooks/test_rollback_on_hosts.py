"""Ways back on real target hosts over SSH, with real units of systemd as the application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from testbed import Host, Testbed
from tests.project import Project

UNIT = """[Unit]
Description=Part of an application, for a test
[Service]
ExecStart=/bin/sh -c 'while :; do echo {name} >> /run/shop.log; sleep 1; done'
"""
UNITS = ("shop.service", "shop-worker.service")
LOG = "/run/shop-story.log"


@contextmanager
def an_application(host: Host) -> Iterator[None]:
    """Two services that run on a host."""
    for name in UNITS:
        host.console(f"cat > /run/systemd/system/{name}", text=UNIT.format(name=name))
    host.console(f"systemctl daemon-reload && systemctl start {' '.join(UNITS)} && rm -f {LOG}")
    yield
    host.console(f"systemctl stop {' '.join(UNITS)}; rm -f /run/systemd/system/shop*.service; systemctl daemon-reload")


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The first host, with an application of two services that run, and an empty database `shop`."""
    db1 = testbed["db1"]
    db1.drop_database("shop")
    with an_application(db1):
        yield db1
    db1.drop_database("shop")


@pytest.fixture
def mariadb_host(testbed: Testbed) -> Iterator[Host]:
    """The second host, with the same application and an empty database `shop` of MariaDB."""
    db2 = testbed["db2"]
    with an_application(db2):
        yield db2
    for name in db2.mariadb("SHOW DATABASES LIKE 'shop%'").split():
        db2.drop_mariadb_database(name)


def environment(project: Project, testbed: Testbed, host: Host, url: str, policy: dict[str, str]) -> None:
    """Write an environment with the database and its application."""
    listed = [{"name": "shop", "system": "shop", "url": url}]
    folder = project.testbed_environment("bed", testbed, {host.name: listed}, policy={"confirm": "typed", **policy})
    inventory = yaml.safe_load((folder / "hosts.yml").read_text())
    inventory["applications"] = {
        "hosts": {host.name: None},
        "vars": {
            "app_workers": ["shop-worker.service"], "app_services": ["shop.service"],
            "app_maintenance_on": note("on"), "app_maintenance_off": note("off"), "app_cache_commands": note("cache"),
            "app_health_commands": ["systemctl is-active shop.service"],
        },
    }  # fmt: skip
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))


def note(word: str) -> list[str]:
    """A command that writes a word and who runs into the log."""
    active = "$(systemctl is-active shop.service shop-worker.service | tr '\\\\n' ' ')"
    return [f'/bin/sh -c "echo {word} {active} >> {LOG}"']


def test_the_application_is_contained_and_returns_in_order(project: Project, testbed: Testbed, host: Host) -> None:
    project.system("shop")
    project.migration("001_a", "CREATE TABLE public.a (id int);\n", down="DROP TABLE public.a;\n", system="shop")
    environment(project, testbed, host, host.create_database("shop"), {"backup": "never"})
    assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0

    words = ("rollback", "--env", "bed", "--application", "--steps", "1", "--confirm", "bed")
    project.migration("001_a", "SELECT 1;\n", down="DROP TABLE nowhere;\n", system="shop")
    refused = project.invoke(*words, "--down-from", "checkout")
    assert (refused.returncode, "tried beforehand, a down script fails" in refused.stdout) == (10, True), refused.stdout
    assert host.console(f"systemctl is-active {' '.join(UNITS)}").stdout.split() == ["active", "active"]

    untried = "-- windlass: no-transaction\nDROP TABLE nowhere;\n"
    project.migration("001_a", "SELECT 1;\n", down=untried, system="shop")
    failed = project.invoke(*words, "--down-from", "checkout")
    assert failed.returncode == 22, failed.stdout
    assert "inactive" in host.console("systemctl is-active shop.service", check=False).stdout, "it stays contained"
    assert "The application stays contained" in failed.stdout
    project.migration("001_a", "SELECT 1;\n", down=untried.replace("nowhere", "public.a"), system="shop")
    done = project.invoke(*words, "--down-from", "checkout")
    assert done.returncode == 0, done.stdout
    assert host.psql("SELECT to_regclass('public.a') IS NULL", "shop") == "t"
    assert host.console(f"systemctl is-active {' '.join(UNITS)}").stdout.split() == ["active", "active"]
    story = host.console(f"cat {LOG}").stdout.splitlines()
    assert story == [
        "on active inactive",  # workers first, services last
        "on inactive inactive",  # the second try finds it contained
        "cache inactive inactive",
        "off active inactive",  # services first, workers last
    ]
    [incident] = [
        json.loads(path.read_text())
        for path in (project.root / ".windlass/incidents").glob("*/incident.json")
        if json.loads(path.read_text())["status"] == "done"
    ]
    assert [step["step"][:3] for step in incident["steps"]] == [f"{number}/8" for number in range(1, 9)]


def test_mariadb_is_restored_and_brought_to_the_wanted_migration(
    project: Project, testbed: Testbed, mariadb_host: Host
) -> None:
    project.write("sql/shop/system.yml", "name: shop\nengine: mysql\ntitle: Shop\ndescription: For a test.\n")
    counted = "CREATE TRIGGER counted BEFORE INSERT ON a FOR EACH ROW SET NEW.n = NEW.id * 2;\n"
    table = f"CREATE TABLE a (id int PRIMARY KEY, n int);\n{counted}"
    project.migration("001_a", table, down="DROP TABLE a;\n", verify="", system="shop")
    url = mariadb_host.create_mariadb_database("shop")
    environment(project, testbed, mariadb_host, url, {"scratch": "allow"})
    assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0
    mariadb_host.mariadb("INSERT INTO shop.a (id) VALUES (1), (2)")
    project.migration(
        "002_note", "ALTER TABLE a ADD note text;\n", down="ALTER TABLE a DROP note;\n", verify="", system="shop"
    )
    assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0
    mariadb_host.mariadb("DELETE FROM shop.a")  # what nobody wanted, and what a down script does not bring back
    run_id = mariadb_host.mariadb("SELECT run_id FROM shop.windlass_migrations WHERE name = '002_note'")

    words = ("--restore", f"before:{run_id}", "--to", "002_note", "--confirm", "bed")
    done = project.invoke("rollback", "--env", "bed", *words)
    assert done.returncode == 0, done.stdout
    assert mariadb_host.mariadb("SELECT id, n, note FROM shop.a ORDER BY id") == "1\t2\tNULL\n2\t4\tNULL"
    mariadb_host.mariadb("INSERT INTO shop.a (id) VALUES (3)")
    assert mariadb_host.mariadb("SELECT n FROM shop.a WHERE id = 3") == "6", "the trigger is back"
    assert mariadb_host.console(f"systemctl is-active {' '.join(UNITS)}").stdout.split() == ["active", "active"]
    story = mariadb_host.console(f"cat {LOG}").stdout.splitlines()
    assert story == ["on active inactive", "cache inactive inactive", "off active inactive"]
    kept = mariadb_host.mariadb("SHOW DATABASES LIKE 'shop\\_before\\_%'")
    assert kept and kept in done.stdout and "--database shop --undo" in done.stdout
    [incident] = [
        json.loads(path.read_text()) for path in (project.root / ".windlass/incidents").glob("*/incident.json")
    ]
    assert (incident["status"], [step["step"][:3] for step in incident["steps"]]) == (
        "done",
        [f"{n}/8" for n in range(1, 9)],
    )
    [part] = incident["databases"].values()
    assert part["rows"]["a"] == [0, 2] and part["window"]["from"] < part["before"]["at"] < part["window"]["to"]

    undone = project.invoke("restore", "--env", "bed", "--undo", "--yes")
    assert undone.returncode == 0, undone.stdout
    assert mariadb_host.mariadb("SELECT COUNT(*) FROM shop.a") == "0"
