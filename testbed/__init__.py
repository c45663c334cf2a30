"""Real target hosts on this machine: small Debian systems with sshd, systemd and PostgreSQL.

    with Testbed(hosts=3) as bed:
        print(bed["db1"].run("systemctl is-system-running").stdout)

Needs root, systemd-nspawn and debootstrap; `TestbedUnavailable` says what is missing.
"""

from testbed.bed import Testbed
from testbed.errors import TestbedError, TestbedUnavailable
from testbed.host import Host

__all__ = ["Host", "Testbed", "TestbedError", "TestbedUnavailable"]
