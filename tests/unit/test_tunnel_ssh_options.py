"""The way to a host, as OpenSSH itself tells it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from windlass import playbook
from windlass.tunnel.ssh_options import route
from windlass_engine.errors import WindlassError

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is missing: apt-get install openssh-client")


def with_config(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config"
    file.write_text(text)
    return ["-F", str(file)]


def test_the_settings_of_a_plain_host(tmp_path: Path) -> None:
    known = tmp_path / "known hosts"
    known.write_text("")
    arguments = ["-F", "/dev/null", "-o", 'Port="2022"', "-o", 'User="ann lee"', "-o", 'IdentityFile="/k 1"']
    arguments += ["-o", f'UserKnownHostsFile="{known}"', "-o", "GlobalKnownHostsFile=/g1 /g2"]
    (hop,) = route([*arguments, "db.example"], playbook.output)
    assert (hop.host, hop.port, hop.user, hop.key_name) == ("db.example", 2022, "ann lee", "db.example")
    assert hop.identities == (Path("/k 1"),)
    assert hop.known_hosts == (known, Path("/g1"), Path("/g2"))
    assert str(hop) == "ann lee@db.example:2022"


def test_include_and_match_in_the_configuration_are_honoured(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Match host db\n HostName 10.0.0.7\n HostKeyAlias database\n IdentitiesOnly yes\n")
    (hop,) = route([*with_config(tmp_path, f"Include {tmp_path}/more\n"), "db"], playbook.output)
    assert (hop.host, hop.key_name, hop.identities_only) == ("10.0.0.7", "database", True)


def test_bastions_come_first_and_take_their_own_settings(tmp_path: Path) -> None:
    config = with_config(
        tmp_path,
        "Host outer\n HostName 10.1.1.1\n Port 2201\n User out\nHost inner\n ProxyJump outer\n User in\n"
        "Host second\n User sec\n",
    )
    arguments = [*config, "-o", "User=me", "-o", "ProxyJump=inner,you@second:2300", "db"]
    hops = route(arguments, playbook.output)
    assert [str(hop) for hop in hops] == ["out@10.1.1.1:2201", "in@inner:22", "you@second:2300", "me@db:22"]


def test_a_bastion_with_an_ipv6_address(tmp_path: Path) -> None:
    hops = route(["-F/dev/null", "-J", "me@[fe80::1]:2300", "db"], playbook.output)
    assert (hops[0].host, hops[0].port) == ("fe80::1", 2300)


def test_a_loop_of_bastions_is_refused(tmp_path: Path) -> None:
    config = with_config(tmp_path, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(WindlassError, match="no end"):
        route([*config, "a"], playbook.output)


def test_a_proxy_command_is_refused_with_another_way() -> None:
    with pytest.raises(WindlassError) as caught:
        route(["-F", "/dev/null", "-o", "ProxyCommand=nc %h %p", "db"], playbook.output)
    assert caught.value.code == "tunnel_failed"
    assert "ProxyJump" in caught.value.hint


def test_words_that_ssh_refuses_are_passed_on() -> None:
    with pytest.raises(WindlassError, match=r"(?i)nosuchoption"):
        route(["-F", "/dev/null", "-o", "NoSuchOption=1", "db"], playbook.output)


def test_a_missing_program_is_said() -> None:
    def absent(command: Sequence[str]) -> str:
        return playbook.output(["no-such-ssh-program", *command[1:]])

    with pytest.raises(WindlassError) as caught:
        route(["db"], absent)
    assert "install no-such-ssh-program" in caught.value.hint
