"""Where this machine itself gets Debian packages from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from testbed import shell
from testbed.errors import TestbedUnavailable

_FORMAT = "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"


@dataclass(frozen=True)
class Mirror:
    """A Debian mirror and the proxy settings, as environment variables, to reach it with."""

    url: str
    environment: Mapping[str, str]


def find(suite: str) -> Mirror:
    """Return the Debian mirror of this machine's apt, rather one that is configured for `suite`.

    Raises TestbedUnavailable when apt knows no Debian mirror.
    """
    rows = _main_archives()
    if not rows:
        shell.run("apt-get", "update", timeout=600)
        rows = _main_archives()
    if not rows:
        raise TestbedUnavailable("apt on this machine knows no Debian mirror to build the hosts from")
    urls = [url for codename, url in rows if codename == suite] or [url for _codename, url in rows]
    return Mirror(urls[0], _proxies())


def _main_archives() -> list[tuple[str, str]]:
    told = shell.run("apt-get", "indextargets", "--format", _FORMAT, "Identifier: Packages").stdout
    rows = [line.split("|") for line in told.splitlines()]
    return [(row[2], row[4]) for row in rows if row[:2] == ["Debian", "Debian"] and row[3] == "main"]


def _proxies() -> dict[str, str]:
    environment = {}
    for scheme in ("http", "https"):
        told = shell.run("apt-config", "shell", "PROXY", f"Acquire::{scheme}::Proxy").stdout.strip()
        value = told.partition("=")[2].strip("'\"")
        if value and value != "DIRECT":
            environment[f"{scheme}_proxy"] = value
    return environment
