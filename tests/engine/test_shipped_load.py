"""The shipped load scripts run on what their systems make, again and again."""

from __future__ import annotations

import pytest

from testbed.waiting import wait_until
from tests.project import ROOT
from tests.systems import Bench
from windlass import project
from windlass_engine.rehearsal import load

SERVERS = {"postgresql": "pg", "mysql": "mariadb"}
SYSTEMS = sorted(path.parent.name for path in ROOT.glob("sql/*/load"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_load_script_runs(request: pytest.FixtureRequest, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "ALONE_S", 0.5)  # it goes on until each was run
    found = project.load(ROOT, system, parse="all")
    assert found.load
    with request.getfixturevalue(SERVERS[found.engine]).database() as url:
        bench = Bench(url)
        assert bench.deploy(found.view())["error"] is None
        names = {script.path.rsplit("/", 1)[-1] for script in found.load}
        with load.Workload(bench.target, found.load, 2) as running:
            wait_until(lambda: {sample.name for sample in list(running._samples)} == names, what="every script to run")
    result = running.result()
    assert result["errors"] == []
    assert result["alone"]["calls"] + result["during"]["calls"] >= len(names)
