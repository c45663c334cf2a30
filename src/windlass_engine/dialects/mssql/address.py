"""A database URL as an ODBC connection string."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from ...errors import WindlassError
from ...model import Target

_FORM = "write mssql://user@host:port/database?option=value"
_OPTIONS = (
    "encrypt", "trust_server_certificate", "server_certificate", "host_name_in_certificate", "instance",
    "multi_subnet_failover", "backup_folder", "backup_share",
)  # fmt: skip
_YES_NO = ("trust_server_certificate", "multi_subnet_failover")


@dataclass(frozen=True)
class Address:
    """What a URL says; without a user the login is the process's own Kerberos ticket."""

    host: str
    port: int
    database: str
    user: str
    password: str
    options: dict[str, str]

    @property
    def trusts(self) -> bool:
        """Return whether the URL says in so many words that the server's certificate is not looked at."""
        return self.options.get("trust_server_certificate") == "yes"

    @property
    def backup_folder(self) -> str:
        """Return the server's folder for backups, an empty string where the server's own choice holds."""
        return self.options.get("backup_folder", "")

    @property
    def backup_share(self) -> str:
        """Return where this host sees that folder, an empty string where it does not."""
        return self.options.get("backup_share", "")

    @property
    def encrypt(self) -> str:
        """Return ``yes``, ``strict`` or ``no``."""
        return self.options.get("encrypt", "yes")


def of_target(target: Target) -> Address:
    """Read a target's URL.  Raise WindlassError (inventory_invalid); it never repeats the URL."""
    try:
        parts = urlsplit(target.url)
        port = parts.port or 0
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise _invalid(target, "the database URL cannot be parsed") from None
    database = unquote(parts.path[1:])
    if not database:
        raise _invalid(target, "the database URL names no database")
    _look_at(target, asked)
    user = unquote(parts.username or "")
    password = target.password or unquote(parts.password or "")
    return Address(unquote(parts.hostname or "localhost"), port, database, user, password, asked)


def microsoft(address: Address, driver: str, application: str) -> str:
    """Return the connection string for Microsoft's driver.

    A lost connection must stay lost: one that the driver takes up again by itself would have neither transaction nor
    locks.
    """
    told = {
        "DRIVER": driver,
        "SERVER": "tcp:" + _server(address, ","),
        "DATABASE": address.database,
        **_login(address),
        "APP": application[:128],
        "Encrypt": address.encrypt,
        "TrustServerCertificate": "yes" if address.trusts else "no",
        "ServerCertificate": address.options.get("server_certificate", ""),
        "HostnameInCertificate": address.options.get("host_name_in_certificate", ""),
        "MultiSubnetFailover": "yes" if address.options.get("multi_subnet_failover") == "yes" else "",
        "ConnectRetryCount": "0",
        "MARS_Connection": "no",
        "Language": "us_english",
    }
    return joined(told)


def freetds(address: Address, driver: str, application: str) -> str:
    """Return the connection string for FreeTDS."""
    told = {
        "DRIVER": driver,
        "SERVER": _server(address, ""),
        "PORT": "" if address.options.get("instance") else str(address.port or 1433),
        "DATABASE": address.database,
        **_login(address),
        "APP": application[:128],
        "TDS_Version": "7.4",
        "ClientCharset": "UTF-8",
        "Encryption": "off" if address.encrypt == "no" else "require",
        "Language": "us_english",
    }
    return joined(told)


def joined(told: dict[str, str]) -> str:
    """Return keywords and values as one string; each value stands in braces, so nothing in it means anything."""
    return ";".join(f"{key}={{{value.replace('}', '}}')}}}" for key, value in told.items() if value)


def _server(address: Address, mark: str) -> str:
    if address.options.get("instance"):
        return f"{address.host}\\{address.options['instance']}"
    return f"{address.host}{mark}{address.port or 1433}" if mark else address.host


def _login(address: Address) -> dict[str, str]:
    if not address.user:
        return {"Trusted_Connection": "yes"}
    return {"UID": address.user, "PWD": address.password}


def _look_at(target: Target, asked: dict[str, str]) -> None:
    unknown = sorted(set(asked) - set(_OPTIONS))
    if unknown:
        raise _invalid(target, f"the database URL has an option that is not known: {', '.join(unknown)}")
    if asked.get("encrypt", "yes") not in ("yes", "strict", "no"):
        raise _invalid(target, "the database URL's encrypt is `yes`, `strict` or `no`")
    share = asked.get("backup_share", "")
    if share and not (share.startswith("/") and asked.get("backup_folder")):
        raise _invalid(target, "the database URL's backup_share is a path of this host, and backup_folder the server's")
    for name in _YES_NO:
        if asked.get(name, "no") not in ("yes", "no"):
            raise _invalid(target, f"the database URL's {name} is `yes` or `no`")


def _invalid(target: Target, message: str) -> WindlassError:
    options = f"options are {', '.join(_OPTIONS)}"
    return WindlassError("inventory_invalid", message, hint=f"{_FORM}; {options}", where={"database": target.name})
