"""What a rollback stops and starts is looked at before anything is changed: units that could not be, and why."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests import module_names

FILE = Path(__file__).resolve().parents[2] / "plugins/modules/app_look.py"
LOADED = {"LoadState": "loaded", "ActiveState": "active", "CanStart": "yes", "CanStop": "yes"}


@pytest.fixture
def look() -> ModuleType:
    module_names.install()
    spec = importlib.util.spec_from_file_location("app_look", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let systemctl answer with these properties, to root or to somebody else."""

    def answers(root: bool = True, **properties: str) -> None:
        program = tmp_path / "systemctl"
        lines = "".join(f"echo {key}={value}\n" for key, value in {**LOADED, **properties}.items())
        program.write_text(f"#!/bin/sh\n{lines}")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)

    return answers


@pytest.mark.parametrize(
    ("properties", "good", "words"),
    [
        ({}, True, "active"),
        ({"ActiveState": "inactive"}, True, "inactive"),
        ({"LoadState": "not-found"}, False, "systemd knows no such unit"),
        ({"LoadState": "masked"}, False, "the unit is masked"),
        ({"LoadState": "bad-setting"}, False, "it is bad-setting"),
        ({"CanStop": "no"}, False, "systemd lets nobody stop and start it by hand"),
        ({"CanStart": "no"}, False, "systemd lets nobody stop and start it by hand"),
    ],
)
def test_units(
    look: ModuleType, systemd: Callable[..., None], properties: dict[str, str], good: bool, words: str
) -> None:
    systemd(**properties)
    seen = look.unit("shop.service")
    assert (seen["good"], words in seen["found"]) == (good, True)


@pytest.mark.parametrize("polkit", [True, False])
def test_who_is_not_root_needs_polkit(
    look: ModuleType, systemd: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, polkit: bool
) -> None:
    systemd(root=False)
    monkeypatch.setattr(look, "PATH", str(tmp_path))
    if polkit:
        (tmp_path / "pkcheck").write_text("#!/bin/sh\n")
        (tmp_path / "pkcheck").chmod(0o755)
    seen = look.unit("shop.service")
    assert seen["good"] is polkit
    assert polkit or "app_become has to be true" in seen["found"]


def test_commands(look: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("no program")
    assert look.command("/bin/sh -c true")["good"]
    for text, words in ((f"{tmp_path}/page on", "may not be run"), ("/nowhere/page", "no program"), ("", "empty")):
        seen = look.command(text)
        assert (seen["good"], words in seen["found"]) == (False, True)
    assert "cannot be parted" in look.command("page 'on")["found"]
