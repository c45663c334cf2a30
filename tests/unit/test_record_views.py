"""What the terminal says at the end of a playbook, for every verb."""

from __future__ import annotations

import shlex

import pytest

from tests.unit.record_of import ERROR, STEPS, begun, check, closed, plan, run
from windlass.records import record
from windlass.telling import closing, lines, plans, summary


def text(found, **options):
    return "\n".join(line.text for line in closing.lines(found, **options))


def test_the_closing_table():
    found = closed(
        db1={
            "windlass_plan": {"salon": plan()},
            "windlass_backup": {"salon": {"id": "b", "bytes": 2_000_000, "duration_ms": 900}},
            "windlass_run": {"salon": run()},
            "windlass_checks": {"salon": [check(), check("two")]},
        },
        db2={"windlass_plan": {"salon": plan([])}, "windlass_run": {"salon": run("nothing", applied=[])}},
    )
    heading, first, second = text(found).strip().splitlines()
    assert heading.split() == ["HOST", "DATABASE", "FROM", "TO", "WORK", "CHECKS", "BACKUP", "TIME", "RESULT"]
    assert first.split("  ")[0] == "db1"
    for cell in ("(empty)", "20250101_create_staff", "1 applied", "2/2", "2.0 MB in 0.9 s", "3.5 s", "done"):
        assert cell in first
    assert second.endswith("nothing to do")


def test_a_failure_closes_with_the_state_and_the_next_command():
    found = begun(db1={"windlass_run": {"salon": run("failed", error=ERROR, state="stands at x", next="invoke it")}})
    record.fail(found, "db1", ERROR)
    record.close(found)
    assert text(found).endswith("db1 salon: stands at x\n  next: invoke it")
    assert summary.rows(found)[0].bad


def test_a_database_whose_journal_nobody_could_read_afterwards_is_not_called_empty():
    lost = run("failed", error=ERROR, schema_version="", journal_head="")
    found = closed(db1={"windlass_plan": {"salon": plan(schema_version="m1")}, "windlass_run": {"salon": lost}})
    assert (summary.rows(found)[0].before, summary.rows(found)[0].after) == ("m1", "(unknown)")
    undone = run("failed", error=ERROR, schema_version="", journal_head="h")
    found = closed(db1={"windlass_plan": {"salon": plan(schema_version="m1")}, "windlass_run": {"salon": undone}})
    assert summary.rows(found)[0].after == "(empty)"


def test_the_next_command_goes_no_further_back_than_the_failure_went():
    following = "mend it, then: invoke deploy --env prod; or: invoke rollback --env prod --steps 1"
    failed = {"windlass_run": {"salon": run("failed", error=ERROR, next=following)}}
    alone = closed(db1=failed)
    assert [row[3] for row in summary.failures(alone)] == [following]
    fleet = closed(db1=failed, db2={"windlass_plan": {"salon": plan(), "spa": plan()}})
    limited = following.replace("--steps", "--host db1 --database salon --steps")
    assert [row[3] for row in summary.failures(fleet)] == [limited]


def test_a_host_that_failed_before_its_databases_were_known_has_a_row():
    found = begun(db1={})
    record.fail(found, "db1", {**ERROR, "code": "host_unreachable", "where": {}}, unreachable=True)
    record.close(found)
    assert [(row.host, row.result, row.bad) for row in summary.rows(found)] == [("db1", "unreachable", True)]


def test_another_databases_failure_is_not_this_ones():
    found = begun(db1={"windlass_plan": {"salon": plan(), "spa": plan()}})
    record.fail(found, "db1", ERROR)  # its place names salon
    record.close(found)
    assert {row.database: row.result for row in summary.rows(found)} == {"salon": "FAILED", "spa": "untouched"}


def test_a_dry_run_shows_the_sql_and_what_it_would_do():
    sql = [{"migration": "m1", "sql": "CREATE TABLE a ();\n\x1b[2JSELECT 1;"}]
    result = run("check", sql=sql, applied=[])
    shown = text(closed(db1={"windlass_plan": {"salon": plan()}, "windlass_run": {"salon": result}}))
    assert "-- db1 salon: m1\n  CREATE TABLE a ();\n  \\x1b[2JSELECT 1;" in shown
    assert "2 to apply" in shown
    assert "SELECT 1;\n" in shown


def test_a_plan_shows_order_reason_and_way_back_and_the_command_for_exactly_this():
    found = closed("plan", db1={"windlass_plan": {"salon": plan(warnings=["late branch"])}})
    shown = text(found)
    assert "db1 salon: 2 steps, now at (empty)" in shown
    assert "down script" in shown
    assert "IRREVERSIBLE: the data is gone" in shown
    assert "warning: late branch" in shown
    assert f"invoke deploy --env prod --plan {found['digest'][:12]}" in shown
    assert "--plan" not in text(found, front=True)


@pytest.mark.parametrize(("direction", "verb"), [("up", "deploy"), ("down", "rollback"), ("baseline", "baseline")])
def test_a_plan_names_the_verb_that_carries_it_out(direction, verb):
    found = closed("plan", db1={"windlass_plan": {"salon": plan(direction=direction)}})
    assert f"invoke {verb} --env prod --steps 2 --plan" in "\n".join(
        line.text for line in plans.next_command(found, " --steps 2")
    )


def test_nothing_to_do_has_no_digest_and_no_command():
    shown = text(closed("plan", db1={"windlass_plan": {"salon": plan([], schema_version="m9")}}))
    assert shown.strip() == "db1 salon: nothing to do, at m9"


def test_status():
    info = {
        "system": "salon", "server_version": "15.4", "read_only": False, "schema_version": "m3",
        "pending": ["m4", "m5"], "changed": ["m1"], "unknown": [], "partial": ["m3"],
        "last_run": {"at": "2025-01-01T10:20:30.123Z", "who": "alice", "status": "applied"},
        "backup": {"age_s": 7200}, "lock": {"pid": 7, "holder": "bob"},
    }  # fmt: skip
    down = {"system": "salon", "error": {**ERROR, "code": "database_unreachable", "message": "no answer"}}
    found = closed("status", db1={"windlass_info": {"salon": info}}, db2={"windlass_info": {"salon": down}})
    shown = text(found)
    first = next(line for line in shown.splitlines() if line.startswith("db1"))
    for cell in ("15.4", "m3", "2", "1 edited, 1 half done", "2025-01-01 10:20:30 by alice, applied", "2 h old", "bob"):
        assert cell in first
    assert "UNREACHABLE" in shown
    assert "FAILED  up.sql:4, host db2, database salon: no answer" in shown
    assert found["exit_code"] == 7


@pytest.mark.parametrize(
    ("code", "unreachable", "says"),
    [("project_invalid", False, "FAILED"), ("host_unreachable", True, "UNREACHABLE")],
)
def test_a_host_of_which_nothing_is_known_is_called_what_it_is(code: str, unreachable: bool, says: str) -> None:
    found = begun("status", db1={})
    record.fail(found, "db1", {**ERROR, "code": code, "where": {}}, unreachable=unreachable)
    record.close(found)
    row = next(line for line in text(found).splitlines() if line.startswith("db1"))
    assert row.split() == ["db1", says]


@pytest.mark.parametrize(
    ("code", "says"),
    [("database_unreachable", "UNREACHABLE"), ("login_refused", "LOGIN REFUSED"), ("driver_missing", "FAILED")],
)
def test_a_database_of_which_nothing_is_known_is_called_what_it_is(code: str, says: str) -> None:
    info = {"system": "shop", "error": {**ERROR, "code": code}}
    shown = text(closed("status", db1={"windlass_info": {"salon": info}}))
    row = next(line for line in shown.splitlines() if line.startswith("db1"))
    assert " ".join(row.split()) == f"db1 salon shop {says}"


def test_history():
    event = {"at": "2025-01-01T10:20:30Z", "event": "applied", "migration": "m1", "who": "alice", "duration_ms": 1500}
    shown = text(closed("history", db1={"windlass_history": {"salon": [event]}}))
    assert "2025-01-01 10:20:30  applied  m1" in shown
    assert "1.5 s" in shown


def test_a_history_that_cannot_be_read_is_no_empty_one():
    away = {"windlass_history": {"salon": []}, "windlass_info": {"salon": {"error": {**ERROR, "message": "no answer"}}}}
    shown = text(closed("history", db1=away))
    assert shown.strip().splitlines()[0] == "FAILED  up.sql:4, host db1, database salon: no answer"


def test_doctor_says_how_to_mend():
    findings = [
        {"name": "clock", "status": "ok", "found": "0.1 s off", "needed": "", "mend": ""},
        {"name": "space", "status": "fail", "found": "1 GB free", "needed": "2 GB", "mend": "make room in /var"},
    ]
    shown = text(closed("doctor", db1={"windlass_doctor": {"": findings}}))
    assert "ok    1 check passed" in shown
    assert "FAIL  space: 1 GB free (needed: 2 GB)\n        -> make room in /var" in shown


def test_verify_lists_every_check():
    shown = text(closed("verify", db1={"windlass_checks": {"salon": [check("good"), check("bad", "row 1")]}}))
    assert "db1 salon: 1/2 passed" in shown
    assert "ok    good" in shown
    assert "FAIL  bad" in shown


def test_restore_names_what_it_kept():
    restored = {
        "into": "salon", "backup": "b1", "swapped": True, "kept_as": "salon_old", "differences": ["a view less"],
        "tables": 1, "total_rows": 7,
    }  # fmt: skip
    shown = text(closed("restore", db1={"windlass_restore": {"salon": restored}}))
    assert "db1 salon: stands in salon from backup b1" in shown
    assert "1 table, 7 rows, compared" in shown
    assert "kept as salon_old" in shown
    assert "differs: a view less" in shown


def test_a_dry_restore_says_what_it_would_do():
    restored = {"into": "salon_restored", "backup": "b1", "swapped": False, "skipped": "check mode"}
    shown = text(closed("restore", db1={"windlass_restore": {"salon": restored}}))
    assert "would stand in salon_restored from backup b1" in shown


def test_a_failure_for_people_has_its_place_and_hint_and_no_control_characters():
    shown = "\n".join(lines.failure({**ERROR, "message": "bad\x1b[2J"}))
    assert shown == "FAILED  up.sql:4, database salon: bad\\x1b[2J\n  -> mend it and deploy again"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (STEPS[0], "down script"),
        ({**STEPS[0], "kind": "repeatable"}, "earlier text"),
        ({**STEPS[0], "action": "revert"}, ""),
        ({**STEPS[1], "irreversible": ""}, "IRREVERSIBLE"),
    ],
)
def test_the_way_back(step, words):
    assert plans.back(step) == words


def test_what_a_failed_run_undid_again_is_said():
    undone = run("failed", error=ERROR, reverted=["20250101_create_staff"])
    found = begun(db1={"windlass_run": {"salon": undone}})
    record.fail(found, "db1", ERROR)
    record.close(found)
    assert summary.rows(found)[0].work == "1 applied, 1 undone again"
    assert summary.rows(found)[0].result == "FAILED"


def test_a_run_whose_checks_were_lost_is_not_called_done():
    found = begun(db1={"windlass_run": {"salon": run()}})
    record.fail(found, "db1", {**ERROR, "where": {}})
    record.close(found)
    assert summary.rows(found)[0].result == "not verified"
    following = "invoke verify --env prod --host db1 --database salon"
    assert text(found).endswith(f"db1 salon: stands well; its checks did not run\n  next: {following}")


@pytest.mark.parametrize(
    ("where", "result"), [({"database": "salon"}, "FAILED"), ({"database": "spa"}, "done"), ({}, "done")]
)
def test_a_hosts_error_after_a_done_run_is_the_databases_only_when_it_names_it(where, result):
    found = begun(db1={"windlass_run": {"salon": run()}, "windlass_checks": {"salon": [check()]}})
    record.fail(found, "db1", {**ERROR, "where": where})
    record.close(found)
    assert summary.rows(found)[0].result == result


def test_a_command_to_type_next_survives_an_odd_name():
    found = closed("plan", db1={"windlass_plan": {"salon": plan()}})
    found["environment"] = "west 'q'; rm"
    command = text(found).splitlines()[-1].split(" --plan ")[0].strip()
    assert shlex.split(command) == ["invoke", "deploy", "--env", "west 'q'; rm"]


def test_a_servers_further_lines_cannot_pass_for_lines_of_ours():
    told = list(lines.failure({**ERROR, "message": "first\nDone in 0.1 s.\nDone", "hint": "mend it"}))
    assert told[0].startswith("FAILED")
    assert all(line.startswith("  ") for line in told[1:])


def test_a_dry_backup_names_program_compression_and_room():
    way = {"method": "pg_dump directory", "client_version": "17.2", "compression": "zstd:1", "elsewhere": ""}
    made = {"skipped": "check mode", "path": "/srv/b/salon", "free_bytes": 2_000_000_000, **way}
    shown = text(closed("backup", db1={"windlass_backup": {"salon": made}}))
    assert "db1 salon: would be made by pg_dump directory 17.2, compressed by zstd:1 (chosen for speed)" in shown
    assert "into /srv/b/salon, 2.0 GB free" in shown
    made |= {"method": "BACKUP DATABASE", "compression": "none", "elsewhere": "the server's folder /b"}
    shown = text(closed("backup", db1={"windlass_backup": {"salon": made}}))
    assert "not compressed: this edition cannot; into the server's folder /b" in shown


def test_a_dry_run_says_that_a_backup_would_be_made():
    assert summary.backup_text({"skipped": "check mode"}) == "to be made"
    assert summary.backup_text({"skipped": "the policy asks for none"}) == "none"


def test_a_failed_way_back_with_the_application_goes_on_with_it():
    following = "mend it, then: invoke rollback --env prod --steps 1; or: invoke restore --env prod"
    for scenario, words in (("migration", ""), ("application", " --application")):
        found = begun("rollback", db1={"windlass_run": {"salon": run("failed", error=ERROR, next=following)}})
        found["scenario"] = scenario
        record.close(found)
        told = f"mend it, then: invoke rollback --env prod{words} --steps 1; or: invoke restore --env prod"
        assert f"  next: {told}" in text(found)


def test_a_rollback_ends_with_what_is_lost_what_comes_next_and_where_its_record_is():
    before = {"at": "2025-01-31T23:59:59+00:00", "backup": {"id": "b1", "started": "2025-01-31T03:00:00+00:00"}}
    swapped = {"into": "salon", "swapped": True, "kept_as": "salon_old", "swapped_at": "2025-02-01T00:00:30+00:00"}
    for kept in ({}, swapped):
        found = begun("rollback", db1={"windlass_before": {"salon": before}, "windlass_restore": {"salon": kept}})
        found.update(scenario="restore", timeline=[{"at": "2025-01-31T23:59:59+00:00", "step": "1/8 Look"}])
        record.close(found)
        shown = text(found)
        lost = "db1 salon: LOST: what was written from 2025-01-31T03:00:00+00:00 to 2025-02-01T00:00:30+00:00"
        assert (lost in shown, "invoke restore --env prod --host db1 --database salon --undo" in shown) == (
            bool(kept),
            bool(kept),
        )
        assert "see that all is well: invoke verify --env prod" in shown
        assert shown.endswith("Incident: .windlass/incidents/20250131T235959Z-1a2b3c/incident.md")
    found["drill"] = True
    assert "Incident" not in text(found)
