#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: app_look
short_description: Look whether what a rollback stops, starts and calls of an application is there
description:
  - Refuses where a unit is unknown to systemd or masked, where systemd lets nobody stop and start it by hand, where the
    login is not root on a host without polkit, or where a command's program is not there or may not be run.
    Stops, starts and calls nothing. With C(become) it takes the very way that stopping takes, so that a lacking right
    to it is found here.
  - With O(health) it also runs those commands once each, as they only look. It says how they ended and refuses nothing
    for it, as an application may be ill before a rollback.
options:
  units:
    description: Units of systemd.
    type: list
    elements: str
    default: []
  commands:
    description: Commands, each a text without a shell's signs.
    type: list
    elements: str
    default: []
  health:
    description: Commands that succeed when the application serves. Each is given half a minute.
    type: list
    elements: str
    default: []
  try_health:
    description: Whether those are run.
    type: bool
    default: false
attributes:
  check_mode:
    description: Looks as ever, and runs no command.
    support: full
"""

EXAMPLES = r"""
- name: Look at the application
  app_look:
    units: [shop.service, shop-worker.service]
    commands: [/opt/shop/bin/maintenance on]
"""

RETURN = r"""
windlass_app:
  description: What was looked at, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - what: shop.service
      found: active
      good: true
    - what: /opt/shop/bin/maintenance on
      found: there is no program /opt/shop/bin/maintenance
      good: false
windlass_error:
  description: What is not there, with a stable word as C(code).
  returned: on failure
  type: dict
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_engine.errors import WindlassError

SPEC = {
    "units": {"type": "list", "elements": "str", "default": []},
    "commands": {"type": "list", "elements": "str", "default": []},
    "health": {"type": "list", "elements": "str", "default": []},
    "try_health": {"type": "bool", "default": False},
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE_S = 30
RUNNABLE = ("loaded", "generated", "transient")


def unit(name: str) -> dict[str, Any]:
    """Ask systemd for a unit."""
    asked = ["systemctl", "show", "--property=LoadState,ActiveState,CanStart,CanStop", "--", name]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"what": name, "found": f"systemd does not answer: {error}", "good": False}
    seen = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    if seen.get("LoadState") in RUNNABLE:
        refusal = refused(seen)
        return {"what": name, "found": refusal or seen.get("ActiveState", ""), "good": not refusal}
    state = seen.get("LoadState", "unknown")
    words = {"not-found": "systemd knows no such unit", "masked": "the unit is masked"}
    return {"what": name, "found": words.get(state, f"it is {state}: {done.stderr.strip()}"), "good": False}


def refused(seen: dict[str, str]) -> str:
    """Return why a unit that systemd knows could not be stopped and started, an empty text where it could."""
    if "no" in (seen.get("CanStart"), seen.get("CanStop")):
        return "systemd lets nobody stop and start it by hand (RefuseManualStart, RefuseManualStop)"
    if os.geteuid() != 0 and shutil.which("pkcheck", path=PATH) is None:
        return "only root may stop and start it on this host, so app_become has to be true"
    return ""


def command(text: str) -> dict[str, Any]:
    """Look for a command's program."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        return {"what": text, "found": f"its words cannot be parted: {error}", "good": False}
    if not words:
        return {"what": text, "found": "it is empty", "good": False}
    path = shutil.which(words[0], path=f"{os.environ.get('PATH', '')}:{PATH}")
    if path:
        return {"what": text, "found": path, "good": True}
    there = os.path.exists(words[0])
    found = f"{words[0]} may not be run" if there else f"there is no program {words[0]}"
    return {"what": text, "found": found, "good": False}


def health(text: str, trying: bool) -> dict[str, Any]:
    """Look for a health command's program, and run it where that is wanted."""
    seen = command(text)
    if not (trying and seen["good"]):
        return seen
    try:
        done = subprocess.run(
            shlex.split(text), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"what": text, "found": f"it did not end well: {error}", "good": True}
    found = "it succeeds" if done.returncode == 0 else f"it ends with {done.returncode}"
    return {"what": text, "found": found, "good": True}


def look(params: dict[str, Any], trying: bool) -> Iterator[dict[str, Any]]:
    yield from map(unit, params["units"])
    yield from map(command, params["commands"])
    for text in params["health"]:
        yield health(text, trying)


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    found = list(look(module.params, module.params["try_health"] and not module.check_mode))
    bad = [f"{item['what']}: {item['found']}" for item in found if not item["good"]]
    if bad:
        hint = "nothing was changed; mend the app_ variables of this host in the inventory, or what they name"
        error = WindlassError("preflight_failed", f"the application cannot be contained: {'; '.join(bad)}", hint=hint)
        module.fail_json(msg=str(error), windlass_error=error.to_wire(), windlass_app=found)
    module.exit_json(changed=False, windlass_app=found)


if __name__ == "__main__":
    main()
