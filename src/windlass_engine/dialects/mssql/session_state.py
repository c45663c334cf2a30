"""The settings of a session: fixed before every batch of a script, and what else a script may leave behind."""

from __future__ import annotations

import re

from ..link import Link
from .own import Own

_ON = "ANSI_NULLS, ANSI_NULL_DFLT_ON, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, XACT_ABORT"
_OFF = "NUMERIC_ROUNDABORT, IMPLICIT_TRANSACTIONS, CURSOR_CLOSE_ON_COMMIT, NOCOUNT, FORCEPLAN"
#: What each batch begins with.  In a deadlock it is Windlass that loses: it tries again, an application may not.
FIXED = (
    f"SET {_ON} ON; SET QUOTED_IDENTIFIER ON; SET {_OFF} OFF; SET ROWCOUNT 0; SET TEXTSIZE 2147483647; "
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET DEADLOCK_PRIORITY LOW; SET DATEFIRST 7; SET DATEFORMAT mdy"
)
#: Tables that begin with one # belong to the session; the server pads their names.
_DROP_TEMPORARY = """
DECLARE @windlass_drop nvarchar(max);
SELECT @windlass_drop = COALESCE(STRING_AGG(CAST(N'DROP TABLE ' + QUOTENAME(t.short) AS nvarchar(max)), N'; '), N'')
FROM (
  SELECT object_id, LEFT(name, CHARINDEX(N'______', name + N'______') - 1) AS short
  FROM tempdb.sys.tables WHERE name LIKE N'#[^#]%'
) t WHERE OBJECT_ID(N'tempdb..' + QUOTENAME(t.short)) = t.object_id;
EXEC sys.sp_executesql @windlass_drop
"""
_LEAVES = re.compile(r"(?i)\b(set|exec|execute|cursor|revert|sp_\w+)\b|#")


def leaves_settings(text: str) -> bool:
    """Return whether a script holds a word that can leave something behind in the session."""
    return _LEAVES.search(text) is not None


def reset(link: Link) -> tuple[str, ...]:
    """Return what undoes a script's settings, role, language and temporary tables; locks stay."""
    return (Own("REVERT"), Own("SET LANGUAGE us_english"), Own("SET CONTEXT_INFO 0x"), Own(FIXED), Own(_DROP_TEMPORARY))


def fixed(depth: int) -> Own:
    """Return the settings of a batch, behind a look whether the batch before it left the transaction as it was.

    A procedure that rolls back would let what follows commit by itself, and XACT_ABORT keeps the server from telling.
    """
    return Own(f"{FIXED}; {same_depth(depth)}")


def same_depth(depth: int) -> str:
    """Return what stops the batch where other than ``depth`` transactions are open."""
    told = "the batch before this ended the transaction that Windlass had opened"
    if not depth:
        told = "the batch before this left a transaction open"
    return f"IF @@TRANCOUNT <> {depth:d} BEGIN; THROW 51000, N'{told}', 1; END"
