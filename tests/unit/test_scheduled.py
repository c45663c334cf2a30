"""What scheduled work leaves behind: ledger and metrics."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from windlass_engine import files
from windlass_engine.scheduled import ledger, metrics


def test_the_ledger_keeps_the_last_result_while_the_next_run_goes_on(tmp_path):
    folder = str(tmp_path / "new")
    ledger.begin(folder, "backup")
    ledger.finish(folder, "backup", exit_code=0, message="well", run_id="r1")
    good = ledger.read(folder)["jobs"]["backup"]
    ledger.begin(folder, "backup")
    under_way = ledger.read(folder)["jobs"]["backup"]
    assert under_way["status"] == "ok" and under_way["began"]
    bad = ledger.finish(folder, "backup", exit_code=26, message="no room")
    assert bad["status"] == "failed" and bad["succeeded"] == good["finished"] and not bad["began"]
    assert bad["duration_ms"] >= 0 and bad["started"] == under_way["began"]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "ledger.json").stat().st_mode & 0o777 == 0o600


def test_what_is_learnt_is_laid_over_what_was_known(tmp_path):
    folder = str(tmp_path)
    ledger.learn(folder, {"h": {"d": {"pending": 1, "backup": {"at": 5}}}})
    ledger.learn(folder, {"h": {"d": {"pending": 0}, "e": {"pending": 2}}})
    assert ledger.read(folder)["facts"] == {"h": {"d": {"pending": 0, "backup": {"at": 5}}, "e": {"pending": 2}}}


def test_what_is_gone_is_forgotten(tmp_path):
    folder = str(tmp_path)
    known = {"pending": 0}
    ledger.learn(folder, {"h1": {"a": known, "b": known}, "h2": {"c": known}, "gone": {"d": known}})
    ledger.keep_only(folder, {"h1": ["a"], "h2": [], "new": ["e"]})
    assert ledger.read(folder)["facts"] == {"h1": {"a": known}, "h2": {"c": known}}


def test_a_run_that_ended_without_a_word_is_closed_once(tmp_path):
    folder = str(tmp_path)
    ledger.begin(folder, "backup")
    ledger.finish(folder, "backup", exit_code=0, message="well")
    for job in ("backup", "check", "prune"):
        ledger.begin(folder, job)
    with ledger.alone(folder, "check"), ledger.alone(folder, "prune"):  # prune goes on, and check is who looks
        assert sorted(ledger.fall(folder, "check")) == ["backup", "check"]
    assert sorted(ledger.fall(folder)) == ["prune"] and ledger.fall(folder) == {}
    entry = ledger.read(folder)["jobs"]["backup"]
    assert entry["status"] == "failed" and entry["exit_code"] == 32 and entry["succeeded"] and not entry["began"]
    assert entry["finished"] == entry["started"]


def test_a_job_can_begin_while_another_closes_its_fallen_entry(tmp_path, monkeypatch):
    """A disk that takes its time must not make a timer's job believe that it runs already."""
    folder, begun = str(tmp_path), []
    ledger.begin(folder, "backup")
    replacing = files.replacing

    def slow(*arguments):
        with ledger.alone(folder, "backup") as only_one:
            begun.append(only_one)
        return replacing(*arguments)

    monkeypatch.setattr(ledger, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(files, "replacing", slow)
    assert sorted(ledger.fall(folder)) == ["backup"] and begun == [True]


def test_a_run_that_begins_meanwhile_is_not_closed_for_the_fallen_one(tmp_path, monkeypatch):
    folder = str(tmp_path)
    ledger.begin(folder, "backup")
    fallen = ledger.read(folder)["jobs"]["backup"]["began"]
    locks = ledger._locks

    def late(descriptor):
        monkeypatch.setattr(ledger, "_locks", locks)
        monkeypatch.setattr(ledger, "now", lambda: "2099-01-01T00:00:00.000+00:00")
        ledger.begin(folder, "backup")
        return True

    monkeypatch.setattr(ledger, "_locks", late)
    assert ledger.fall(folder) == {}
    began = ledger.read(folder)["jobs"]["backup"]["began"]
    assert began.startswith("2099") and began != fallen


def test_a_look_at_a_lock_is_not_mistaken_for_a_job(tmp_path, monkeypatch):
    """Somebody who looks holds the lock for an instant: a job that begins then has to run all the same."""
    monkeypatch.setattr(ledger, "_PATIENCE_S", 3600.0)
    with ExitStack() as looking:
        looking.enter_context(ledger.alone(str(tmp_path), "backup"))
        monkeypatch.setattr(time, "sleep", lambda _: looking.close())
        with ledger.alone(str(tmp_path), "backup") as only_one:
            assert only_one


class Clock:
    """Time that goes on by pauses alone."""

    def __init__(self, monkeypatch):
        self.now, self.at = 0.0, {}
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


def test_a_look_on_a_busy_machine_does_not_keep_a_job_from_its_run(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    with ExitStack() as looking:
        looking.enter_context(ledger.alone(str(tmp_path), "backup"))
        clock.at[20.0] = looking.close
        with ledger.alone(str(tmp_path), "backup") as only_one:
            assert only_one and clock.now >= 20.0


@pytest.mark.parametrize(("began", "waited_s"), [(True, 1.0), (False, 30.0)])
def test_a_job_that_runs_is_known_by_its_beginning(tmp_path, monkeypatch, began, waited_s):
    clock = Clock(monkeypatch)
    with ledger.alone(str(tmp_path), "backup"):
        if began:
            ledger.begin(str(tmp_path), "backup")
        with ledger.alone(str(tmp_path), "backup") as only_one:
            assert not only_one and waited_s <= clock.now < waited_s + 1


def test_a_clock_that_is_put_back_makes_no_negative_duration(tmp_path, monkeypatch):
    moments = iter(("2026-11-21T02:00:00.000+00:00", "2026-11-21T01:00:00.000+00:00"))
    monkeypatch.setattr(ledger, "now", lambda: next(moments))
    ledger.begin(str(tmp_path), "backup")
    assert ledger.finish(str(tmp_path), "backup", exit_code=0, message="")["duration_ms"] == 0


def test_jobs_that_end_at_once_lose_nothing(tmp_path):
    def work(name):
        ledger.begin(str(tmp_path), name)
        ledger.finish(str(tmp_path), name, exit_code=0, message="")

    threads = [threading.Thread(target=work, args=(f"job{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.read(str(tmp_path))["jobs"]) == 8


def test_a_damaged_ledger_is_an_empty_one(tmp_path):
    (tmp_path / "ledger.json").write_text("{")
    assert ledger.read(str(tmp_path)) == {"jobs": {}, "facts": {}}


def test_a_file_is_published_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.prom"
    ledger.publish(str(path), "old\n", 0o644)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        ledger.publish(str(path), "new\n", 0o644)
    assert path.read_text() == "old\n" and [entry.name for entry in tmp_path.iterdir()] == ["a.prom"]


def test_metrics_name_escape_and_leave_out(tmp_path):
    folder = str(tmp_path)
    ledger.begin(folder, "fresh")  # never ended: nothing to say yet
    ledger.begin(folder, "check")
    ledger.finish(folder, "check", exit_code=15, message="edited")
    known = {"verified": {"at": 0.0}, "backup": {"at": 1763697906.0, "bytes": None}, "drift": 1}
    ledger.learn(folder, {"h": {'a"b\\c': known}})
    text = metrics.render("prod", ledger.read(folder))
    assert 'windlass_job_last_result{environment="prod",job="check"} 0\n' in text and "fresh" not in text
    assert "last_success" not in text, "it never ended well"
    labels = '{environment="prod",host="h",database="a\\"b\\\\c"}'
    assert f"windlass_backup_last_timestamp_seconds{labels} 1763697906\n" in text
    assert f"windlass_backup_verified_timestamp_seconds{labels} 0\n" in text
    assert f"windlass_drift{labels} 1\n" in text and "size_bytes" not in text
    parsed = {sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples}
    assert parsed["windlass_drift"].labels == {"environment": "prod", "host": "h", "database": 'a"b\\c'}
    assert parsed["windlass_backup_last_timestamp_seconds"].value == 1763697906
    named = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(named) == len(set(named)) and all(line.count("{") <= 1 for line in text.splitlines())


def test_prometheus_reads_every_metric(tmp_path):
    folder = str(tmp_path)
    for job, code in (("backup", 0), ("check", 36)):
        ledger.begin(folder, job)
        ledger.finish(folder, job, exit_code=code, message="")
    data = {"at": 1763697906.5, "bytes": 2**40, "duration_s": 1.25}
    known = {"backup": data, "verified": data, "pending": 2, "drift": 0, "schema_drift": 3}
    ledger.learn(folder, {"db-1.example": {"salon": known, "ünï\ncode": known}})
    families = list(text_string_to_metric_families(metrics.render("prod", ledger.read(folder))))
    assert len(families) == 12 and all(family.type == "gauge" and family.documentation for family in families)
    found = {(each.name, each.labels.get("database", each.labels.get("job"))): each.value
             for family in families for each in family.samples}  # fmt: skip
    assert len(found) == sum(len(family.samples) for family in families) == 23
    assert found["windlass_backup_last_size_bytes", "ünï\ncode"] == 2**40
    assert found["windlass_job_last_result", "backup"] == 1 and found["windlass_job_last_result", "check"] == 0
    assert found["windlass_backup_verified_timestamp_seconds", "salon"] == 1763697906.5
