"""The report and the dashboard in a browser: nothing is wider than a phone, nothing is fetched, nothing complains."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from testbed.waiting import LIMIT_S
from tests.unit import record_of, test_dashboard
from tests.unit.test_report import everything, load_of, rehearsal
from windlass import report
from windlass.records import record
from windlass.report import dashboard

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = 390, 1280
LONG = "a_name_that_somebody_has_made_up_without_a_thought_for_whoever_reads_it_on_a_telephone"
#: What sticks out of its page, but for what scrolls by itself.
LOOK = """
addEventListener('load', () => {
  const told = [...document.querySelectorAll('iframe')].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    const wide = [...page.querySelectorAll('body *')].filter(
      e => !e.closest('.scroll, pre, svg') && e.getBoundingClientRect().right > root.clientWidth + 1);
    return {name: frame.name, width: root.clientWidth, scrolls: root.scrollWidth, sections: page.querySelectorAll('section').length,
      wide: wide.map(e => e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 60)),
      fetched: frame.contentWindow.performance.getEntriesByType('resource').map(e => e.name)};
  });
  document.body.textContent = 'TOLD' + JSON.stringify(told) + 'END';
});
"""


def pages() -> Iterator[tuple[str, str]]:
    """Yield pages of every kind, with names as long as anybody may have."""
    yield "failed", report.render(everything())
    statement = {
        **rehearsal()["parts"][0]["statements"][0],
        "migration": LONG,
        "sql": f"ALTER TABLE {LONG} ADD {LONG} int",
    }
    part = {**rehearsal()["parts"][0], "statements": [statement]}
    part |= {"lock_note": LONG, "blocked": [{"table": LONG, "blocks": "reads and writes", "from_ms": 0, "to_ms": 600}]}
    wait = {**load_of()["waits"][0], "who_sql": f"SELECT {LONG} FROM {LONG}", "table": LONG}
    found = {"windlass_rehearsal": {LONG: rehearsal(parts=[part], load=load_of(waits=[wait]))}}
    yield "rehearsal", report.render(record_of.closed("rehearse", db1=found))
    size = {"table": f"public.{LONG}", "before": 10**9, "after": 2 * 10**9, "indexes_before": 1, "indexes_after": 2}
    done = record_of.run(sizes=[size], state=f"the schema stands at {LONG}", archived=[])
    parts = {"windlass_plan": {"salon": record_of.plan()}, "windlass_run": {"salon": done}}
    yield "rollback", report.render(record_of.closed("rollback", db1=parts))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages, the dashboard, and one page that looks at all of them."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in pages():
        record.write(folder / f"{name}.html", text)
    test_dashboard.keep(folder, "r1", 1, test_dashboard.deployed(LONG), environment="production")
    dashboard.write(folder, folder, test_dashboard.NOW)
    names = [f"{path.stem}" for path in sorted(folder.glob("*.html"))]
    frames = [
        f'<iframe name="{name} {width}" src="{name}.html" width="{width}" height="800" frameborder="0"></iframe>'
        for name in names
        for width in (PHONE, DESKTOP)
    ]
    record.write(folder / "look.html", f"<!doctype html><body>{''.join(frames)}<script>{LOOK}</script>")
    return folder


def shown(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Open a page and return what became of it."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser, none of {', '.join(PROGRAMS)}: apt-get install chromium-headless-shell")
    return subprocess.run(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--disable-background-networking", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr",
         "--virtual-time-budget=10000", "--dump-dom", address],
        capture_output=True, text=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip


@pytest.fixture(scope="module")
def looked(site: Path) -> tuple[list[dict[str, Any]], str]:
    """What the browser saw of each page, and what it wrote to its console."""
    up = shown("data:text/html,<p>up", site)
    if "<p>up" not in up.stdout:
        pytest.skip(f"the browser does not run on this machine: {up.stderr[-300:]}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = shown(f"http://127.0.0.1:{server.server_port}/look.html", site)
    finally:
        server.shutdown()
    told = re.search(r"TOLD(.*)END", done.stdout, re.DOTALL)
    assert told, done.stderr[-3000:]
    return json.loads(unescape(told[1])), done.stderr


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_nothing_sticks_out_at_the_width_of_a_phone_or_a_desk(looked: tuple[list[dict[str, Any]], str]) -> None:
    seen, _ = looked
    assert len(seen) == 8 and {page["width"] for page in seen} == {PHONE, DESKTOP}
    assert all(page["sections"] > 1 for page in seen)
    assert {page["name"]: page["wide"] for page in seen if page["wide"]} == {}
    assert {page["name"]: page["scrolls"] for page in seen if page["scrolls"] > page["width"]} == {}


def test_nothing_is_fetched_and_nothing_complains(looked: tuple[list[dict[str, Any]], str]) -> None:
    seen, said = looked
    assert {page["name"]: page["fetched"] for page in seen if page["fetched"]} == {}
    complaints = [line for line in said.splitlines() if "CONSOLE" in line and "favicon" not in line]
    assert complaints == []
