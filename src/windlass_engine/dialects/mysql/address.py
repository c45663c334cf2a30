"""A database URL as the driver's options."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ...errors import WindlassError
from ...model import Target

_OPTIONS = ("unix_socket", "ssl", "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify")
_FORM = "write mysql://user@host:port/database?option=value"


def connect_options(target: Target) -> dict[str, Any]:
    """Return what the driver needs to log in.  Raise WindlassError (inventory_invalid); it never repeats the URL."""
    try:
        parts = urlsplit(target.url)
        port = parts.port or 3306
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise _invalid(target, "the database URL cannot be parsed") from None
    database = unquote(parts.path[1:])
    if not database:
        raise _invalid(target, "the database URL names no database")
    unknown = sorted(set(asked) - set(_OPTIONS))
    if unknown:
        raise _invalid(target, f"the database URL has an option that is not known: {', '.join(unknown)}")
    options: dict[str, Any] = {
        "host": parts.hostname or "localhost",
        "port": port,
        "user": unquote(parts.username or ""),
        "password": target.password or unquote(parts.password or ""),
        "database": database,
    }
    if asked.get("unix_socket"):
        options["unix_socket"] = asked["unix_socket"]
    return {**options, **_encryption(target, asked)}


def _encryption(target: Target, asked: dict[str, str]) -> dict[str, Any]:
    """Return the options of an encrypted connection: ``ssl=required`` alone encrypts, ``ssl_ca`` also verifies."""
    if asked.get("ssl", "required") != "required" or asked.get("ssl_verify", "full") not in ("full", "ca"):
        raise _invalid(target, "the database URL's ssl is `required`, its ssl_verify `full` or `ca`")
    files = {key: asked[key] for key in ("ssl_ca", "ssl_cert", "ssl_key") if asked.get(key)}
    if "ssl_ca" in files:
        return {**files, "ssl_verify_cert": True, "ssl_verify_identity": asked.get("ssl_verify", "full") == "full"}
    if not files and "ssl" not in asked and asked.get("unix_socket"):
        return {"ssl_disabled": True}  # nobody listens on a socket, and a driver that asks costs a tenth of a second
    if files or "ssl" in asked:
        pairs = {key[len("ssl_") :]: value for key, value in files.items()}
        return {"ssl": {**pairs, "check_hostname": False, "verify_mode": "none"}}
    return {}


def _invalid(target: Target, message: str) -> WindlassError:
    options = f"options are {', '.join(_OPTIONS)}"
    return WindlassError("inventory_invalid", message, hint=f"{_FORM}; {options}", where={"database": target.name})
