"""Ansible's own failures in Windlass' words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.record_of import ERROR
from windlass.telling import mishaps


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("@@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@@", "host_key_changed"),
        ("Failed to connect to the host via ssh: Host key verification failed.", "host_key_changed"),
        ("No ED25519 host key is known for db1 and you have requested strict checking.", "host_key_changed"),
        ("alice@db1: Permission denied (publickey).", "host_unreachable"),
        ("ssh: connect to host db1 port 22: Connection refused", "host_unreachable"),
        ("ssh: Could not resolve hostname db1: Name or service not known", "host_unreachable"),
        ("ssh: connect to host db1 port 22: Connection timed out", "host_unreachable"),
        ("Failed to create temporary directory. In some cases …", "host_unreachable"),
        ("something new", "host_unreachable"),
    ],
)
def test_unreachable(message, code):
    error = mishaps.error_of("db1", {"msg": message}, unreachable=True)
    assert error["code"] == code
    assert error["where"] == {"host": "db1"}
    assert error["hint"]
    assert error["detail"]["ssh"] == message


@pytest.mark.parametrize(
    ("result", "action", "code"),
    [
        ({"msg": "Validation of arguments failed:\nx is missing"}, "validate_argument_spec", "inventory_invalid"),
        ({"msg": "'windlass_databases' is undefined"}, "db_info", "inventory_invalid"),
        ({"msg": "Attempting to decrypt but no vault secrets found"}, "db_info", "inventory_invalid"),
        ({"msg": "too little room"}, "ansible.builtin.assert", "preflight_failed"),
        ({"msg": "too little room"}, "ansible.builtin.fail", "preflight_failed"),
        ({"msg": "MODULE FAILURE", "module_stderr": "Traceback …"}, "db_info", "internal_error"),
        (
            {"msg": "The module interpreter '/x/python3' was not found.\n/bin/sh: not found"},
            "db_plan",
            "preflight_failed",
        ),
        ({"msg": "Module result deserialization failed: No start of json char found"}, "db_plan", "preflight_failed"),
        ({}, "db_info", "internal_error"),
    ],
)
def test_failures_without_a_word_of_windlass(result, action, code):
    assert mishaps.error_of("db1", result, action=action, task="Look")["code"] == code


def test_what_a_module_says_of_itself_stays():
    error = mishaps.error_of("db1", {"msg": "x", "windlass_error": ERROR})
    assert error == {**ERROR, "where": {"host": "db1", "file": "up.sql", "line": 4, "database": "salon"}}


def test_a_failed_loop_tells_what_its_items_said():
    items = [{"failed": False, "msg": "fine"}, {"failed": True, "msg": "no such package"}]
    error = mishaps.error_of("db1", {"msg": "One or more items failed", "results": items}, action="package")
    assert "no such package" in error["message"]
    assert "fine" not in error["message"]


def test_a_login_that_is_slow_is_told_and_given_time():
    """Logins wait 25 seconds for a D-Bus that does not answer; sshd says nothing meanwhile, as on a dead link."""
    message = (
        "mux_client_request_session: read from master failed: Broken pipe\r\nFailed to connect to new control master"
    )
    error = mishaps.error_of("db1", {"msg": message}, unreachable=True)
    assert error["message"] == "the host let the login in and then gave no answer in time"
    shipped = (Path(__file__).resolve().parents[2] / "ansible.cfg").read_text()
    interval, count = map(int, re.findall(r"ServerAlive(?:Interval|CountMax)=(\d+)", shipped))
    assert 30 < interval * (count + 1) < 60
