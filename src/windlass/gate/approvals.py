"""Approvals of a plan: a small text that names environment and digest, signed with an SSH key.

They lie in ``approvals/ENV/`` of the project, beside ``allowed_signers`` (see ssh-keygen(1)), so that git carries them
from who approves to who deploys.  An approval is for exactly one digest: when a script, a database or the choice of
hosts changes, so does the digest, and nothing approved it yet.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from windlass import playbook
from windlass.records import record
from windlass_engine.errors import WindlassError

#: What a signature is for; one made for anything else (a commit, a login) does not pass.
NAMESPACE = "windlass-approval"
_SIGNERS = "allowed_signers"


@dataclass(frozen=True)
class Approval:
    """A signed yes: who (as ``allowed_signers`` names the key), when, with both texts; ``wrong`` says why not."""

    principal: str
    at: str
    text: str
    signature: str
    wrong: str = ""


def folder(root: Path, environment: str) -> Path:
    """Return where an environment's approvals and signers are."""
    return root / "approvals" / Path(environment).name


def sign(root: Path, environment: str, digest: str, key: Path) -> Path:
    """Sign a plan's whole digest; return the approval's path.

    ssh-keygen asks for the key's passphrase on the terminal, or an agent has the key.  Raises ``preflight_failed`` for
    a key that does not sign or that ``allowed_signers`` does not know.
    """
    signers = _signers(root, environment)
    principal = _principal(signers, key)
    said = {
        "format": 1, "environment": Path(environment).name, "digest": digest, "principal": principal,
        "at": record.now(), "who": record.who(), "origin": record.origin(),
    }  # fmt: skip
    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    path = folder(root, environment) / f"{digest[:12]}-{re.sub(r'[^A-Za-z0-9.@_-]', '_', principal)}.json"
    signature = _signature(key, text)
    with _unchanging(path.parent, fcntl.LOCK_EX):
        record.write(path.with_suffix(".sig"), signature)
        record.write(path, text)
    return path


def key_of(given: str) -> Path:
    """Return the key to sign with: the one given, git's ``user.signingkey``, or the login's first usual one.

    Raises ``preflight_failed`` where there is none.
    """
    configured = playbook.ask(["git", "config", "user.signingkey"]).out.strip()
    usual = [f"~/.ssh/{name}" for name in ("id_ed25519", "id_ecdsa", "id_rsa")]
    for path in (Path(text).expanduser() for text in ([given] if given else [configured, *usual]) if text):
        if path.is_file():
            return path
    message = f"there is no key {given}" if given else "there is no SSH key to sign with"
    raise WindlassError("preflight_failed", message, hint="name it: --key FILE (a .pub file when an agent has the key)")


def found(root: Path, environment: str, digest: str) -> list[Approval]:
    """Return the approvals of a digest, sound or not.  Raises ``preflight_failed`` where nobody may sign."""
    paths = sorted(folder(root, environment).glob(f"{digest[:12]}-*.json"))
    signers = _signers(root, environment)
    return [_read(path, signers, Path(environment).name, digest) for path in paths]


def counted(approvals: Collection[Approval], excluded: Collection[str]) -> list[Approval]:
    """Return those that count: sound ones of different people, none of whom is excluded."""
    others = {name.lower() for name in excluded}
    sound = {a.principal.lower(): a for a in approvals if not a.wrong and a.principal.lower() not in others}
    return list(sound.values())


def involved(root: Path, paths: Collection[str]) -> set[str]:
    """Return who may not approve: the authors in git of these scripts, and who operates (login and git's e-mail)."""
    asked = playbook.ask(["git", "-C", str(root), "log", "--format=%ae%n%ce", "--", *sorted(paths)])
    own = playbook.ask(["git", "-C", str(root), "config", "user.email"])
    names = asked.out.split() if not asked.code and paths else []
    return {*names, *own.out.split(), record.who()}


def _read(path: Path, signers: Path, environment: str, digest: str) -> Approval:
    signature = path.with_suffix(".sig")
    try:
        with _unchanging(path.parent, fcntl.LOCK_SH):
            text, signed = path.read_text(encoding="utf-8"), signature.read_text(encoding="utf-8")
        said: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return Approval(path.stem, "", "", "", wrong=f"{path.name} or its signature cannot be read")
    principal = str(said.get("principal", ""))
    wrong = ""
    if (said.get("environment"), said.get("digest")) != (environment, digest):
        wrong = "it is for another environment or plan"
    elif not _is_signed(signers, principal, text, signature):
        wrong = f"the signature is not one of {principal}'s"
    return Approval(principal, str(said.get("at", "")), text, signed, wrong)


@contextmanager
def _unchanging(folder: Path, lock: int) -> Iterator[None]:
    """Keep a text and its signature together, for who writes them and who reads them; git sees no file of that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # not on every network's file system
            fcntl.flock(descriptor, lock)
        yield
    finally:
        os.close(descriptor)


def _signers(root: Path, environment: str) -> Path:
    path = folder(root, environment) / _SIGNERS
    if not path.is_file():
        raise WindlassError(
            "preflight_failed",
            f"nobody may approve for {Path(environment).name}: {path.relative_to(root)} is missing",
            hint="write a line for each person: NAME@EXAMPLE.ORG ssh-ed25519 AAAA… (ssh-keygen(1), ALLOWED SIGNERS)",
        )
    return path


def _principal(signers: Path, key: Path) -> str:
    """Return the name under which ``allowed_signers`` has a key."""
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        kind, data = public.read_text(encoding="utf-8").split()[:2]
    except (OSError, ValueError):
        message = f"{public} is no public key that can be read"
        raise WindlassError("preflight_failed", message, hint="name the key: --key FILE") from None
    for principal, words in _entries(signers):
        if any(pair == (kind, data) for pair in pairwise(words)):
            return principal
    raise WindlassError(
        "preflight_failed", f"{signers.name} does not know the key {public}", hint=f"let somebody add it to {signers}"
    )


def _entries(signers: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (first principal, other words) of each line."""
    for line in signers.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) > 2 and not line.startswith("#"):
            yield words[0].split(",")[0], words[1:]


def _signature(key: Path, text: str) -> str:
    done = playbook.ask(["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE], text)
    if done.code or "BEGIN SSH SIGNATURE" not in done.out:
        words = done.err.strip().splitlines()[-1:] or ["no signature came"]
        raise WindlassError("preflight_failed", f"ssh-keygen did not sign with {key}: {words[0]}")
    return done.out


def _is_signed(signers: Path, principal: str, text: str, signature: Path) -> bool:
    wanted = ["-f", str(signers), "-I", principal, "-n", NAMESPACE, "-s", str(signature)]
    return playbook.ask(["ssh-keygen", "-Y", "verify", *wanted], text).code == 0
