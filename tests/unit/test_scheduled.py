"""What scheduled work leaves behind: ledger and metrics."""

from __future__ import annotations

import os
import threading

import pytest

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
    named = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(named) == len(set(named)) and all(line.count("{") <= 1 for line in text.splitlines())
