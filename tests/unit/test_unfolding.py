"""How what pg_restore says is heard: which items are done, and which lines are worth keeping."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from windlass_engine import processes
from windlass_engine.dialects.postgresql.unfolding import Unfolding

LISTING = """;
; Archive created at 2026-01-01 00:00:00 UTC
;
219; 1259 16403 TABLE public booking shop
3375; 0 16403 TABLE DATA public booking shop
3224; 2606 16410 CONSTRAINT public booking booking_pkey shop
3229; 2606 16411 FK CONSTRAINT public booking booking_customer_id_fkey shop
3230; 0 0 ACL public TABLE booking shop
"""
BEFORE = [
    b"pg_restore: connecting to database for restore\n",
    b"pg_restore: processing item 219 TABLE booking\n",
    b'pg_restore: creating TABLE "public.booking"\n',
    b'pg_restore: WARNING:  "wal_level" is insufficient to publish logical changes\n',
    b'HINT:  Set "wal_level" to "logical" before creating subscriptions.\n',
    b"pg_restore: entering main parallel loop\n",
    b"pg_restore: launching item 3375 TABLE DATA booking\n",
    b'pg_restore: processing data for table "public.booking"\n',
    b"pg_restore: finished item 3375 TABLE DATA booking\n",
    b"pg_restore: launching item 3224 CONSTRAINT booking booking_pkey\n",
    # Two processes at once: their heads stand in one line, and the other line has none.
    b"pg_restore:pg_restore: launching item 3229 FK CONSTRAINT booking booking_customer_id_fkey\n",
    b'pg_restore:pg_restore:  creating CONSTRAINT "public.booking booking_pkey"\n',
]
LAST = b"pg_restore:pg_restore: finished item 3224 CONSTRAINT booking booking_pkey\n"
WORDS = [
    b"pg_restore: while PROCESSING TOC:\n",
    b"pg_restore: from TOC entry 3224; 2606 16410 CONSTRAINT booking booking_pkey shop\n",
    b"pg_restore: error: could not execute query: ERROR:  could not create unique index\n",
    b"DETAIL:  Key (id)=(1) is duplicated.\n",
    b"Command was: ALTER TABLE ONLY public.booking ADD CONSTRAINT booking_pkey PRIMARY KEY (id);\n",
    b"pg_restore: warning: errors ignored on restore: 1\n",
]


@pytest.fixture
def listing(tmp_path: Path) -> str:
    path = tmp_path / "contents"
    path.write_text(LISTING)
    return str(path)


def test_it_is_ripe_once_when_only_the_end_is_left(listing: str) -> None:
    heard: list[str] = []
    unfolding = Unfolding(listing, lambda: heard.append("ripe"))
    for line in BEFORE:
        unfolding.heed(line)
    assert heard == []
    unfolding.heed(LAST)
    unfolding.heed(LAST)
    unfolding.heed(b"pg_restore: finished item 3229 FK CONSTRAINT booking booking_customer_id_fkey\n")
    assert heard == ["ripe"]


def test_only_words_are_kept(listing: str) -> None:
    unfolding = Unfolding(listing, lambda: None)
    assert [line for line in [*BEFORE, *WORDS, LAST] if unfolding.heed(line)] == WORDS


def test_a_process_is_heard_line_by_line_to_its_last_word() -> None:
    heard: list[bytes] = []

    def heed(line: bytes) -> bool:
        heard.append(line)
        return b"noise" not in line

    script = "import sys; sys.stderr.write('word one\\n' + 'noise\\n' * 30_000 + 'word two\\nlast'); sys.exit(3)"
    finished = processes.run([sys.executable, "-c", script], {}, heed=heed)
    assert (finished.code, finished.errors) == (3, "word one\nword two\nlast")
    assert heard.count(b"noise\n") == 30_000 and len([line for line in heard if line]) == 30_003
