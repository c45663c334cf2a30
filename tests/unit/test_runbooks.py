"""Runbooks say what the plays do: the pages are made of them, and a difference fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.rollback import runbooks
from windlass_engine.errors import WindlassError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("scenario", runbooks.SCENARIOS)
def test_a_page_is_what_its_head_and_its_play_say(scenario: str) -> None:
    page = runbooks.path(ROOT, scenario).read_text(encoding="utf-8")
    assert page == runbooks.page(ROOT, scenario), "invoke runbook SCENARIO --write makes it anew"


@pytest.mark.parametrize("scenario", runbooks.SCENARIOS)
def test_a_page_names_every_numbered_step_and_the_point_of_no_return(scenario: str) -> None:
    text = runbooks.page(ROOT, scenario)
    last = [line for line in text.splitlines() if line.startswith("- ") and "/" in line[:5]][-1]
    number, of = last[2:].split()[0].split("/")
    assert number == of
    assert text.count("which is the point of no return") == 1


def test_a_changed_play_changes_its_page(tmp_path: Path) -> None:
    for name in ("docs/runbooks/heads/restore.md", "playbooks/rollback-restore.yml", "roles/app/tasks/look.yml",
                 "roles/app/tasks/contain.yml", "roles/app/tasks/release.yml"):  # fmt: skip
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((ROOT / name).read_text())
    play = tmp_path / "playbooks/rollback-restore.yml"
    play.write_text(play.read_text().replace("and compare", "and hope"))
    assert runbooks.page(tmp_path, "restore") != runbooks.page(ROOT, "restore")


def test_an_environment_s_names_take_the_place_of_the_words_for_them() -> None:
    hosts = runbooks.hosts_of({"_meta": {"hostvars": {
        "db1": {"windlass_databases": [{"name": "shop"}], "app_services": ["shop.service"]},
    }}})  # fmt: skip
    text = runbooks.here(runbooks.page(ROOT, "application"), "prod", hosts)
    assert "invoke rollback --env prod --host db1 --application --steps 1" in text
    assert "- db1: `app_services`: shop.service" in text
    assert "--env ENV" not in text
    text = runbooks.here(runbooks.page(ROOT, "restore"), "live", hosts)
    assert "ansible-playbook -i inventories/live playbooks/rollback-restore.yml" in text
    assert "-e windlass_database=shop -e windlass_confirm=live" in text


def test_an_unknown_scenario_is_refused() -> None:
    with pytest.raises(WindlassError) as refusal:
        runbooks.page(ROOT, "panic")
    assert "migration, application, restore" in refusal.value.hint
