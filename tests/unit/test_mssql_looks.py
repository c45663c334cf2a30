"""What is asked of a SQL Server before and while a plan runs, and what is made of its answers."""

from __future__ import annotations

from typing import Any

import pytest

from windlass_engine import dialects
from windlass_engine.dialects.answers import Gauge, HeldLock, Search, Size, Sizes, Wait
from windlass_engine.dialects.link import ServerError
from windlass_engine.dialects.mssql import scans
from windlass_engine.model import Probe, TableFacts

MSSQL = dialects.get("mssql")
PLAN = """<ShowPlanXML xmlns="http://schemas.microsoft.com/sqlserver/2004/07/showplan" Version="1.539"><BatchSequence>
<Batch><Statements><StmtSimple><QueryPlan><RelOp PhysicalOp="Nested Loops" EstimateRows="3"><NestedLoops>
<RelOp PhysicalOp="Clustered Index Scan" EstimateRows="7" TableCardinality="3000"><IndexScan>
<Object Database="[shop]" Schema="[dbo]" Table="[or]]ders]" Index="[pk]" /></IndexScan></RelOp>
<RelOp PhysicalOp="Index Seek" EstimateRows="1" TableCardinality="9000"><IndexScan>
<Object Database="[shop]" Schema="[dbo]" Table="[customers]" Index="[by_name]" /></IndexScan></RelOp>
<RelOp PhysicalOp="Table Scan" EstimateRows="12.5"><TableScan><Object Schema="[dbo]" Table="[heap]" /></TableScan></RelOp>
<RelOp PhysicalOp="Table Scan" EstimateRows="2"><TableScan><Object Table="[#mine]" /></TableScan></RelOp>
</NestedLoops></RelOp></QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"""


class Server:
    """Answers the first of its questions that a query holds, and writes down what came."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.sent: list[str] = []

    def query(self, sql: str) -> Any:
        self.sent.append(sql)
        for word, answer in self.answers.items():
            if word in sql:
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return []

    def run(self, sql: str) -> list[int]:
        self.sent.append(sql)
        return [0]


@pytest.mark.parametrize(
    ("kind", "search"),
    [
        ("varchar(8)", "DATALENGTH(RTRIM(CONVERT(varchar(max), [a]))) > 8"),
        ("NVARCHAR(8)", "DATALENGTH(RTRIM(CONVERT(nvarchar(max), [a]))) > 16"),
        ("varbinary(4)", "DATALENGTH([a]) > 4"),
        ("nvarchar(max)", "1 = 0"),
        ("decimal(10, 2)", "[a] IS NOT NULL AND TRY_CONVERT(decimal(10, 2), [a]) IS NULL"),
        ("int", "[a] IS NOT NULL AND TRY_CONVERT(int, [a]) IS NULL"),
    ],
)
def test_values_that_a_type_cannot_hold(kind: str, search: str) -> None:
    probe = Probe("unfit", ("dbo", "t"), ("a",), type=kind)
    assert MSSQL.unfit(Server(), probe) == Search(search)  # type: ignore[arg-type]


def test_a_type_of_somebody_s_own_is_not_guessed_at() -> None:
    found = MSSQL.unfit(Server(), Probe("unfit", ("t",), ("a",), type="dbo.Money"))  # type: ignore[arg-type]
    assert "only known to the server" in found.unknown


def test_the_first_rows_are_asked_for_in_the_server_s_words() -> None:
    assert MSSQL.first_rows("[id]", "[t] WHERE a = 1", 5) == "SELECT TOP (5) [id] FROM [t] WHERE a = 1"
    assert dialects.get("mysql").first_rows("`id`", "`t`", 5) == "SELECT `id` FROM `t` LIMIT 5"


def test_a_standing_constraint_is_the_search_that_its_check_amounts_to() -> None:
    probe = Probe("unvalidated", ("dbo", "t"), ("f",))
    found = MSSQL.unvalidated(Server(foreign_keys=[("dbo", "o", "a", "id"), ("dbo", "o", "b", "no")]), probe)  # type: ignore[arg-type]
    assert found is not None
    assert (found.kind, found.columns, found.other, found.other_columns) == (
        "orphans", ("a", "b"), ("dbo", "o"), ("id", "no"),
    )  # fmt: skip
    found = MSSQL.unvalidated(Server(check_constraints=[("([a]>(0))",)]), probe)  # type: ignore[arg-type]
    assert found is not None and (found.kind, found.condition) == ("violations", "([a]>(0))")
    assert MSSQL.unvalidated(Server(), probe) is None  # type: ignore[arg-type]


def test_locks_say_whom_they_keep_waiting() -> None:
    rows = [("dbo.t", "Sch-M", 1), ("dbo.t", "IX", 1), ("dbo.u", "S", 0)]
    server = Server(dm_io_virtual_file_stats=[(4096,)], dm_tran_locks=rows, dm_db_session_space_usage=[(16384,)])
    assert MSSQL.gauge(server, 55) == Gauge(  # type: ignore[arg-type]
        4096,
        (
            HeldLock("dbo.t", "Sch-M", "reads and writes", True),
            HeldLock("dbo.t", "IX", "", True),
            HeldLock("dbo.u", "S", "writes", False),
        ),
        temporary=16384,
    )
    (space,) = [sql for sql in server.sent if "dm_db_session_space_usage" in sql]
    assert space.count("session_id = 55") == 2 and "dm_db_task_space_usage" in space, "with the task under way"
    (locks,) = [sql for sql in server.sent if "dm_tran_locks" in sql]
    assert "request_session_id = 55" in locks and "sys.objects o WITH (NOLOCK)" in locks, "else it waits for the change"


def test_what_a_login_may_not_see_is_not_known() -> None:
    refused = ServerError("VIEW SERVER STATE permission was denied", number=300)
    found = MSSQL.gauge(Server(dm_io=refused, dm_tran=refused, dm_db=refused), 55)  # type: ignore[arg-type]
    assert (found.log_bytes, found.locks, found.temporary) == (
        None,
        None,
        None,
    ) and "GRANT VIEW SERVER STATE" in found.note
    assert MSSQL.waits(Server(dm_exec_requests=[(0, 0, "", "")])) is None  # type: ignore[arg-type]
    with pytest.raises(ServerError):
        MSSQL.gauge(Server(dm_io=ServerError("gone", lost=True)), 55)  # type: ignore[arg-type]


def test_sizes_between_statements_are_those_of_the_catalogue_or_not_known() -> None:
    server = Server(allocation_units=[(7, "dbo.t", 24_576, 8192)])
    found = MSSQL.sizes(server, touched=True)  # type: ignore[arg-type]
    assert found == Sizes({"7": Size("dbo.t", 24_576, 8192)})
    untold = MSSQL.sizes(Server(allocation_units=ServerError("no such view")))  # type: ignore[arg-type]
    assert untold is not None and (untold.tables, "not known" in untold.note) == ({}, True)
    with pytest.raises(ServerError):
        MSSQL.sizes(Server(allocation_units=ServerError("gone", lost=True)))  # type: ignore[arg-type]


def test_who_waits_for_whom() -> None:
    server = Server(dm_exec_requests=[(1, 0, "", ""), (61, 55, "dbo.t", "SELECT *\n FROM t")])
    assert MSSQL.waits(server) == (Wait(61, 55, "dbo.t", "SELECT * FROM t"),)  # type: ignore[arg-type]
    assert MSSQL.waits(Server(dm_exec_requests=[(1, 0, "", "")])) == ()  # type: ignore[arg-type]


def test_the_size_and_use_of_tables() -> None:
    server = Server(dm_db_index_usage_stats=[("dbo.t", 400, 100, 20)], total_pages=[("dbo.t", 7, 16384)])
    assert MSSQL.tables(server, [("dbo", "t"), ("nowhere",)]) == {  # type: ignore[arg-type]
        "dbo.t": TableFacts(7, 16384, 20.0, 5.0)
    }
    use = next(sql for sql in server.sent if "dm_db_index_usage_stats" in sql)
    assert use.lstrip().startswith("IF HAS_PERMS_BY_NAME"), "a refusal would end the transaction that is open"


def test_scans_are_read_off_the_plan() -> None:
    assert list(scans.read(PLAN)) == [("dbo.or]ders", 3000), ("dbo.heap", 12)]
    with pytest.raises(ServerError, match="no plan"):
        list(scans.read("7"))


def test_the_plan_is_asked_for_without_running_the_query() -> None:
    server = Server(SELECT=[(PLAN,)])
    assert [table for table, _ in MSSQL.full_scans(server, "SELECT 1")] == ["dbo.or]ders", "dbo.heap"]  # type: ignore[arg-type]
    assert server.sent == ["SET SHOWPLAN_XML ON", "SELECT 1", "SET SHOWPLAN_XML OFF"]
    server = Server(SELECT=ServerError("no"))
    with pytest.raises(ServerError, match="no"):
        list(MSSQL.full_scans(server, "SELECT 1"))  # type: ignore[arg-type]
    assert server.sent[-1] == "SET SHOWPLAN_XML OFF"
