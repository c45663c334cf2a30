"""The application's way back on a real target host over SSH, with real units of systemd as the application."""

from __future__ import annotations

import json
from collections.abc import Iterator

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


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The first host, with an application of two services that run, and an empty database `shop`."""
    db1 = testbed["db1"]
    db1.drop_database("shop")
    for name in UNITS:
        db1.console(f"cat > /run/systemd/system/{name}", text=UNIT.format(name=name))
    db1.console(f"systemctl daemon-reload && systemctl start {' '.join(UNITS)} && rm -f {LOG}")
    yield db1
    db1.console(f"systemctl stop {' '.join(UNITS)}; rm -f /run/systemd/system/shop*.service; systemctl daemon-reload")
    db1.drop_database("shop")


def note(word: str) -> list[str]:
    """A command that writes a word and who runs into the log."""
    active = "$(systemctl is-active shop.service shop-worker.service | tr '\\\\n' ' ')"
    return [f'/bin/sh -c "echo {word} {active} >> {LOG}"']


def test_the_application_is_contained_and_returns_in_order(project: Project, testbed: Testbed, host: Host) -> None:
    project.system("shop")
    project.migration("001_a", "CREATE TABLE public.a (id int);\n", down="DROP TABLE public.a;\n", system="shop")
    listed = [{"name": "shop", "system": "shop", "url": host.create_database("shop")}]
    policy = {"confirm": "typed", "backup": "never"}
    folder = project.testbed_environment("bed", testbed, {host.name: listed}, policy=policy)
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
