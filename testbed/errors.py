"""What a testbed raises."""


class TestbedError(Exception):
    """A step of building, booting or reaching the hosts failed."""

    __test__ = False  # not a test class, whatever its name looks like to pytest


class TestbedUnavailable(TestbedError):
    """A testbed cannot run on this machine; the message says why."""
