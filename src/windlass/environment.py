"""From what an inventory says to what the engine needs: databases, passwords parted from URLs, and policies.

Everything here is pure and runs on the control node before any target is touched.  A mistake is refused with
``inventory_invalid`` and the name of the host, the database and the key, never with a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from windlass.gate.policy import Gate
from windlass.gate.policy import read as read_gate
from windlass.inventory_values import boolean, check, known_keys, milliseconds, refuse, serial, whole
from windlass_engine.model import Options, Target

BACKUP = ("required", "optional", "never")
CONFIRM = ("none", "yes", "typed")
ON_FAILURE = ("stop", "rollback")
OUT_OF_ORDER = ("refuse", "allow")
SCRATCH = ("allow", "never")
PRUNE = ("manual", "after_backup")
PROBES = ("true", "warn", "false")
DRIFT = ("ignore", "warn", "stop")
ARCHIVE = ("always", "never")

_DATABASE_KEYS = ("name", "system", "url", "password", "policy")


@dataclass(frozen=True)
class Policy:
    """How careful a run is.  Times are milliseconds here; inventories write them with a unit (``200ms``)."""

    backup: str = "required"
    confirm: str = "yes"
    on_failure: str = "stop"
    out_of_order: str = "refuse"
    atomic: bool = False
    lock_timeout: int = 200
    lock_retries: int = 40
    deploy_lock_wait: int = 60_000
    reconnect: int = 300_000
    samples: bool = True
    scratch: str = "never"
    probes: str = "true"
    probe_timeout: int = 5_000
    drift: str = "warn"
    prune: str = "manual"
    archive: str = "always"
    restore_test_host: str = ""
    backup_max_age: int = 0
    backup_size_band: int = 50
    serial: tuple[int | str, ...] = (1, "100%")
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True)
class Database:
    """One database of a host, as the inventory gives it; ``url`` holds no password."""

    name: str
    system: str
    url: str
    password: str = field(default="", repr=False)
    policy: Policy = field(default_factory=Policy)

    @property
    def target(self) -> Target:
        """Return what the engine needs to log in."""
        return Target(self.name, self.system, self.url, self.password)

    def login(self) -> dict[str, str]:
        """Return the login options of the modules."""
        return {"name": self.name, "system": self.system, "url": self.url, "password": self.password}

    def options(self, run_id: str, who: str, origin: str, **more: Any) -> Options:
        """Return the engine's options under this database's policy; ``more`` wins over the policy."""
        policy = {
            "atomic": self.policy.atomic,
            "lock_timeout_ms": self.policy.lock_timeout,
            "lock_retries": self.policy.lock_retries,
            "deploy_lock_wait_s": self.policy.deploy_lock_wait / 1000,
            "on_failure": self.policy.on_failure,
            "archive": self.policy.archive == "always",
            "scratch": self.policy.scratch == "allow",
        }
        return Options(run_id=run_id, who=who, origin=origin, **{**policy, **more})


def databases(raw: Any, policy: Any = None, *, host: str = "", only: Iterable[str] = ()) -> tuple[Database, ...]:
    """Read a host's ``windlass_databases`` under its ``windlass_policy``; ``only`` keeps those names (none: all).

    Raises ``inventory_invalid`` for anything that is not usable, also in a database that ``only`` leaves out.
    """
    check(isinstance(raw, Sequence) and not isinstance(raw, str), "windlass_databases is not a list", host=host)
    base = merge_policy(policy, host=host)
    found = tuple(_database(item, base, host) for item in raw)
    names = [database.name for database in found]
    for name in names:
        check(names.count(name) == 1, "windlass_databases names this database twice", host=host, database=name)
    wanted = set(only)
    return tuple(database for database in found if not wanted or database.name in wanted)


def _database(raw: Any, base: Policy, host: str) -> Database:
    """Read one entry of ``windlass_databases``."""
    check(
        isinstance(raw, Mapping),
        "an entry of windlass_databases is not a mapping (name, system, url)",
        host=host,
    )
    name = str(raw.get("name") or "")
    check(bool(name), "an entry of windlass_databases has no name", host=host)
    place = {"host": host, "database": name}
    known_keys(raw, _DATABASE_KEYS, "a database", **place)
    system = str(raw.get("system") or "")
    check(bool(system), "the database has no system (the folder below sql/)", **place)
    url, password = part_url(str(raw.get("url") or ""), **place)
    own = str(raw.get("password") or "")
    check(not (own and password), "the password stands both in the url and in password: keep one", **place)
    return Database(name, system, url, own or password, merge_policy(raw.get("policy"), base, **place))


# ---------------------------------------------------------------- URLs


def part_url(url: str, **place: str) -> tuple[str, str]:
    """Part a URL into one without its password, and the password (percent signs decoded).

    The password may stand before the ``@`` or in the query (``?password=``).  Raises ``inventory_invalid``; its
    message never repeats the URL.
    """
    check(bool(url.strip()), "the database has no url (is the variable behind it set?)", **place)
    try:
        parts = urlsplit(url.strip())
    except ValueError:  # its message may hold the network part, and so the password
        refuse("the url cannot be read", **place)
    form = "scheme://user@server:port/database"
    check(
        bool(re.fullmatch(r"[a-z][a-z0-9+]*", parts.scheme)),
        f"the url does not have the form {form}",
        **place,
    )
    login, at, servers = parts.netloc.rpartition("@")
    _check_ports(servers, place)
    user, _, password = login.partition(":")
    query, in_query = _part_query(parts.query, place)
    check(not (password and in_query), "the url holds two passwords", **place)
    bare = urlunsplit((parts.scheme, user + at + servers, parts.path, query, ""))
    if not parts.netloc and not bare.startswith(f"{parts.scheme}://"):
        bare = bare.replace(f"{parts.scheme}:", f"{parts.scheme}://", 1)
    check(not parts.fragment, "the url holds a #; write it as %23", **place)
    return bare, in_query or unquote(password)


def _check_ports(servers: str, place: Mapping[str, str]) -> None:
    """Refuse a port that is no number: what a password with a bare ``/`` or ``#`` in it looks like."""
    for server in servers.split(","):
        port = server.rpartition(":")[2] if ":" in re.sub(r"\[.*?\]", "", server) else ""
        reason = "the url's port is not a number; in a password write / ? # @ : as %2F %3F %23 %40 %3A"
        check(port.isdigit() or not port, reason, **place)


def _part_query(query: str, place: Mapping[str, str]) -> tuple[str, str]:
    """Take ``password`` out of a query string."""
    pairs = parse_qsl(query, keep_blank_values=True)
    check(
        all(key != "sslpassword" for key, _ in pairs),
        "the url holds an sslpassword: use a service file",
        **place,
    )
    secrets = [value for key, value in pairs if key == "password"]
    check(len(secrets) < 2, "the url holds two passwords", **place)
    if not secrets:
        return query, ""
    rest = [(key, value) for key, value in pairs if key != "password"]
    return urlencode(rest, quote_via=quote, safe="/"), secrets[0]


# ---------------------------------------------------------------- policies


def merge_policy(raw: Any, base: Policy | None = None, **place: str) -> Policy:
    """Lay ``raw`` over ``base`` (default: Windlass's own).  Raises ``inventory_invalid`` naming the key."""
    base = base or Policy()
    if raw is None or raw == "":
        return base
    check(isinstance(raw, Mapping), "the policy is not a mapping", **place)
    known_keys(raw, [item.name for item in fields(Policy)], "the policy", **place)
    values = {item.name: getattr(base, item.name) for item in fields(Policy)}
    values.update({key: _policy_value(key, value, base, place) for key, value in raw.items()})
    return Policy(**values)


def _policy_value(key: str, value: Any, base: Policy, place: Mapping[str, str]) -> Any:
    """Check one policy value and bring it into its type."""
    choices = {
        "backup": BACKUP,
        "confirm": CONFIRM,
        "on_failure": ON_FAILURE,
        "out_of_order": OUT_OF_ORDER,
        "scratch": SCRATCH,
        "prune": PRUNE,
        "drift": DRIFT,
        "archive": ARCHIVE,
    }
    if key in choices:
        # YAML reads a bare `yes` or `no` as a boolean
        word = {True: "yes", False: "none"}.get(value, value) if isinstance(value, bool) else value
        check(word in choices[key], f"policy {key} is one of {', '.join(choices[key])}", **place)
        return str(word)
    if key in ("atomic", "samples"):
        return boolean(value, f"policy {key}", **place)
    if key == "probes":
        word = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower(), str(value).lower())
        check(word in PROBES, f"policy probes is one of {', '.join(PROBES)}", **place)
        return word
    if key in ("lock_retries", "backup_size_band"):
        return whole(value, f"policy {key}", **place)
    if key == "gate":
        return read_gate(value, base.gate, **place)
    if key == "restore_test_host":
        return str(value or "")
    if key == "serial":
        return serial(value, **place)
    return milliseconds(value, f"policy {key}", **place)
