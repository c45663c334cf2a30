"""Hosts to play with: `python -m testbed up`, `status`, `down`."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from testbed import bed, cgroups, requirements, slot
from testbed.errors import TestbedError

ENVIRONMENT = Path(__file__).resolve().parents[1] / "inventories" / "testbed"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 1 when it failed."""
    options = _parser().parse_args(arguments)
    try:
        requirements.check()
        if options.verb == "up":
            up(options.hosts, options.without_driver)
        elif options.verb == "down":
            bed.end_standing()
            (ENVIRONMENT / "hosts.yml").unlink(missing_ok=True)
            with suppress(OSError):  # not there, or a person keeps files of their own in it
                ENVIRONMENT.rmdir()
            print("The hosts are gone.")
        else:
            status()
    except (TestbedError, TimeoutError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


def up(hosts: int, without_driver: list[str]) -> None:
    """Boot `hosts` fresh hosts that stay up, in the place of those that are up, and say how to reach them."""
    print("Booting (the very first time builds the system they share, which takes a minute or two) …")
    started = bed.Testbed(hosts, without_driver=without_driver, standing=True)
    _say_how_to_reach(started.folder, {host.name: host.address for host in started})
    write_environment(started, ENVIRONMENT)
    print(f"Environment: {ENVIRONMENT}, salon on every host, jobs on the last.")
    print(f"Next: invoke deploy --env {ENVIRONMENT.name}")


def write_environment(started: bed.Testbed, folder: Path) -> None:
    """Write an environment that can be deployed to at once; its file, with the password, is the owner's alone."""
    databases: dict[str, list[dict[str, Any]]]
    databases = {host.name: [{"name": "salon", "system": "salon", "url": host.database_url()}] for host in started}
    last = list(started)[-1]
    databases[last.name].append({"name": "jobs", "system": "jobs", "url": last.create_mariadb_database("jobs")})
    started.inventory(folder, host_variables={name: {"windlass_databases": some} for name, some in databases.items()})


def status() -> None:
    """Say which hosts are up."""
    found = bed.standing()
    if found is None:
        print("No hosts are up: python -m testbed up")
    else:
        _say_how_to_reach(*found)


def _say_how_to_reach(folder: Path, addresses: dict[str, str]) -> None:
    for name, address in addresses.items():
        state = "up" if cgroups.processes(f"{slot.STANDING}/{name}") else "not running"
        print(f"  {name}  {address}  {state}   ssh -F {folder / 'ssh_config'} {name}")
    print(f"Inventory: {folder / 'inventory'}")
    print("PostgreSQL: port 5432 on each, role windlass_deploy, database salon. MariaDB: port 3306, the same user.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description="Real target hosts on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    begin = verbs.add_parser("up", help="boot fresh hosts that stay up")
    begin.add_argument("--hosts", type=int, default=3, metavar="N", help="how many (3)")
    begin.add_argument(
        "--without-driver",
        action="append",
        default=[],
        metavar="NAME",
        help="host without the PostgreSQL driver",
    )
    verbs.add_parser("down", help="end them and leave nothing behind")
    verbs.add_parser("status", help="say which hosts are up and how to reach them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
