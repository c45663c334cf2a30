"""Every T-SQL script is read whole by a parser, so that nothing is shipped unread where no server runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError

from windlass import project as projects
from windlass_engine.model import Script

ROOT = Path(__file__).parents[2]
SYSTEMS = [path.parent.name for path in ROOT.glob("sql/*/system.yml") if "engine: mssql" in path.read_text()]
# What the parser does not know, as what it is read instead: (pattern, in its place, why).
UNKNOWN = [
    (r"\bALTER PROCEDURE\b", "CREATE PROCEDURE", "a procedure's body is read only where it is created"),
    (r"\bUPDATE TOP \(@\w+\)", "UPDATE", "TOP is known of SELECT alone"),
    (
        r"\bADD CONSTRAINT (\w+) DEFAULT \((\d+)\) FOR (\w+)",
        r"ADD CONSTRAINT \1 CHECK (\3 = \2)",
        "a default is known of a column, not of a table",
    ),
]
STATEMENTS = ("EXEC", "EXECUTE", "SET", "SELECT", "INSERT", "RAISERROR", "PRINT", "RETURN", "THROW")
EXAMPLES = [
    "ALTER PROCEDURE dbo.p @a int AS BEGIN SELECT @a; END",
    "UPDATE TOP (@many) dbo.t SET a = 1 WHERE b = 2",
    "ALTER TABLE dbo.t ADD CONSTRAINT d DEFAULT (0) FOR a",
]


def scripts(system: str) -> Iterator[Script]:
    project = projects.load(ROOT, system, parse="all")
    for migration in project.migrations:
        yield from filter(None, (migration.up, migration.down, migration.verify))
    yield from (again.script for again in project.repeatables)
    yield from (*project.checks, *project.samples, *project.maintenance, *project.queries, *project.load)


SCRIPTS = [script for system in SYSTEMS for script in scripts(system)]
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.path).removeprefix("sql/"))


def parsed(sql: str) -> list[exp.Expr]:
    """The statements of a batch.  Raises ParseError."""
    return [tree for tree in sqlglot.parse(sql, read="tsql", error_level=ErrorLevel.RAISE) if tree is not None]


def unread(sql: str) -> list[str]:
    """What of a batch the parser only carries along as text, or why it cannot read it at all."""
    try:
        trees = parsed(sql)
    except ParseError as error:
        return [str(error).splitlines()[0]]
    # `IF x IS NULL EXEC p` is taken for a condition by another name, and its statement for nothing.
    lost = [alias for tree in trees for alias in tree.find_all(exp.Alias) if alias.alias.upper() in STATEMENTS]
    commands = [command for tree in trees for command in tree.find_all(exp.Command)]
    return [str(node)[:100] for node in (*commands, *lost)]


def known(sql: str) -> str:
    for pattern, instead, _ in UNKNOWN:
        sql = re.sub(pattern, instead, sql)
    return sql


@each_script
def test_every_batch_is_read(script: Script) -> None:
    found = {statement.line: unread(known(script.sql(statement))) for statement in script.statements}
    assert {line: texts for line, texts in found.items() if texts} == {}


@pytest.mark.parametrize("number", range(len(UNKNOWN)))
def test_what_is_read_as_something_else_is_still_unknown(number: int) -> None:
    assert unread(EXAMPLES[number]), f"{UNKNOWN[number][0]} can go: the parser has learnt it"
    assert not unread(known(EXAMPLES[number]))
    used = [script.path for script in SCRIPTS if re.search(UNKNOWN[number][0], script.text)]
    assert used, f"{UNKNOWN[number][0]} can go: no script has it"


@each_script
def test_every_constraint_has_a_name(script: Script) -> None:
    nameless = (exp.DefaultColumnConstraint, exp.CheckColumnConstraint, exp.PrimaryKeyColumnConstraint)
    for statement in script.statements:
        for tree in parsed(known(script.sql(statement))):
            for constraint in tree.find_all(exp.ColumnConstraint):
                if isinstance(constraint.kind, nameless):
                    assert constraint.this, f"{script.path}:{statement.line}: {constraint.sql('tsql')}"


@each_script
def test_objects_are_named_with_their_schema(script: Script) -> None:
    """By hand a login's own schema comes first: a name without one may find something else."""
    for statement in script.statements:
        for tree in parsed(known(script.sql(statement))):
            local = {name.alias_or_name.lower() for name in tree.find_all(exp.CTE)} | {"inserted", "deleted"}
            for table in tree.find_all(exp.Table):
                name = table.this
                is_index = isinstance(table.parent, exp.Drop) and table.parent.kind == "INDEX"
                if isinstance(name, exp.Identifier) and not name.args.get("temporary") and not is_index:
                    assert table.db or name.name.lower() in local, f"{script.path}:{statement.line}: {name.name}"
