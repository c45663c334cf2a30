"""The other tools: versions that are pinned, laid out and run as their own documents say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import cache
from bench.changes import Change
from bench.server import Database
from bench.tools import Command, Tool, write

_PSYCOPG = "psycopg[binary]>=3.2,<4"
_ALEMBIC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_REVISION = """
from alembic import op

revision = {revision!r}
down_revision = {previous!r}


def upgrade():
    op.execute({up!r})


def downgrade():
    op.execute({down!r})
"""
_KNEX_FILE = """
module.exports = {
  client: 'pg',
  connection: process.env.DATABASE_URL,
  migrations: { directory: './migrations' },
};
"""
_LIQUIBASE_ROOT = """<?xml version="1.0" encoding="UTF-8"?>
<databaseChangeLog xmlns="http://www.liquibase.org/xml/ns/dbchangelog"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://www.liquibase.org/xml/ns/dbchangelog
      http://www.liquibase.org/xml/ns/dbchangelog/dbchangelog-latest.xsd">
  <includeAll path="changes" relativeToChangelogFile="true"/>
</databaseChangeLog>
"""


class Dbmate(Tool):
    """A single binary in Go; its npm package is how it is had here, the wrapper in JavaScript is left out."""

    name = "dbmate 2.36"

    def install(self) -> None:
        """Find the binary for this machine."""
        modules = cache.npm("dbmate@2.36.0")
        found = list(modules.glob("@dbmate/*/bin/dbmate"))
        if not found:
            raise cache.Missing("npm brought no binary for this machine")
        self._program = str(found[0])

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write a file a migration."""
        for change in changes:
            text = f"-- migrate:up\n{change.up}\n\n-- migrate:down\n{change.down}\n"
            write(folder / "db" / "migrations" / f"{change.name}.sql", text)

    def migrate(self, folder: Path, database: Database) -> Command:
        """Migrate, without the dump of the schema that it would make afterwards."""
        url = f"{database.url}?sslmode=disable"
        return Command([self._program, "--no-dump-schema", "migrate"], folder, {"DATABASE_URL": url})


class Alembic(Tool):
    """SQLAlchemy's tool, with the statements as text."""

    name = "alembic 1.20"

    def install(self) -> None:
        """Get it into a virtual environment."""
        self._programs = cache.pip("alembic==1.20.1", _PSYCOPG)

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write a module a migration, each naming the one before."""
        write(folder / "alembic.ini", "[alembic]\nscript_location = %(here)s/alembic\npath_separator = os\n")
        write(folder / "alembic" / "env.py", _ALEMBIC_ENV)
        previous = None
        for change in changes:
            parts = {"revision": change.version, "previous": previous, "up": change.up, "down": change.down}
            write(folder / "alembic" / "versions" / f"{change.name}.py", _ALEMBIC_REVISION.format(**parts))
            previous = change.version

    def migrate(self, folder: Path, database: Database) -> Command:
        """Upgrade to the newest revision."""
        url = database.url.replace("postgresql://", "postgresql+psycopg://")
        return Command([str(self._programs / "alembic"), "upgrade", "head"], folder, {"DATABASE_URL": url})


class Yoyo(Tool):
    """Plain SQL files in Python's hands."""

    name = "yoyo-migrations 9.0"

    def install(self) -> None:
        """Get it into a virtual environment."""
        self._programs = cache.pip("yoyo-migrations==9.0.0", _PSYCOPG)

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write two files a migration."""
        for change in changes:
            write(folder / "migrations" / f"{change.name}.sql", f"{change.up}\n")
            write(folder / "migrations" / f"{change.name}.rollback.sql", f"{change.down}\n")

    def migrate(self, folder: Path, database: Database) -> Command:
        """Apply without asking; the password stands in a private file."""
        url = database.url.replace("postgresql://", "postgresql+psycopg://")
        settings = f"[DEFAULT]\nsources = migrations\ndatabase = {url}\nbatch_mode = on\n"
        write(folder / "yoyo.ini", settings)
        return Command([str(self._programs / "yoyo"), "apply", "--batch", "--config=yoyo.ini"], folder)


class Knex(Tool):
    """Node's query builder, with the statements as text."""

    name = "knex 3.3"

    def install(self) -> None:
        """Get it together with its driver."""
        self._modules = cache.npm("knex@3.3.0", "pg@8.23.1")

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write a module a migration; knex looks for itself in the project's own node_modules."""
        (folder / "node_modules").symlink_to(self._modules)
        write(folder / "knexfile.js", _KNEX_FILE)
        for change in changes:
            ways = {"up": change.up, "down": change.down}
            text = "".join(f"exports.{way} = (knex) => knex.raw(`{sql}`);\n" for way, sql in ways.items())
            write(folder / "migrations" / f"{change.name}.js", text)

    def migrate(self, folder: Path, database: Database) -> Command:
        """Migrate to the newest version."""
        program = self._modules / "knex" / "bin" / "cli.js"
        return Command(["node", str(program), "migrate:latest"], folder, {"DATABASE_URL": database.url})


class Sqitch(Tool):
    """Perl around one psql process a change; its transactions are written into the scripts."""

    name = "sqitch 1.3"

    def install(self) -> None:
        """Take the system's."""
        self._program = cache.apt("sqitch", "sqitch", "libdbd-pg-perl")

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write the plan, and deploy and revert scripts."""
        plan = ["%syntax-version=1.0.0", "%project=bench", ""]
        for change in changes:
            plan.append(f"{change.name} 2025-01-01T00:00:00Z Bench <bench@example.org>")
            write(folder / "deploy" / f"{change.name}.sql", f"BEGIN;\n{change.up}\nCOMMIT;\n")
            write(folder / "revert" / f"{change.name}.sql", f"BEGIN;\n{change.down}\nCOMMIT;\n")
        write(folder / "sqitch.plan", "\n".join(plan) + "\n")

    def migrate(self, folder: Path, database: Database) -> Command:
        """Deploy with the server's own psql, for the system's wrapper of it takes longer to start."""
        psql = Path(database.programs) / "psql"
        user = "[user]\n  name = Bench\n  email = bench@example.org\n"
        write(folder / "sqitch.conf", f'[core]\n  engine = pg\n[engine "pg"]\n  client = {psql}\n{user}')
        target = f"db:pg://{database.user}@{database.host}:{database.port}/{database.name}"
        environment = {"SQITCH_PASSWORD": database.password, "PGPASSWORD": database.password}
        return Command([self._program, "deploy", "--target", target], folder, environment)


class Liquibase(Tool):
    """Java; the changes are SQL files with its comments in them."""

    name = "liquibase 4.28"

    def install(self) -> None:
        """Take the jars out of the npm package; Java must be there."""
        cache.need("java")
        self._program = cache.npm("liquibase@4.28.1") / "liquibase" / "dist" / "liquibase" / "liquibase"

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write a file a change and the one that includes them all."""
        write(folder / "changelog.xml", _LIQUIBASE_ROOT)
        for change in changes:
            head = f"--liquibase formatted sql\n--changeset bench:{change.version}\n"
            write(folder / "changes" / f"{change.name}.sql", f"{head}{change.up}\n--rollback {change.down}\n")

    def migrate(self, folder: Path, database: Database) -> Command:
        """Update."""
        environment = {
            "LIQUIBASE_COMMAND_URL": f"jdbc:postgresql://{database.host}:{database.port}/{database.name}",
            "LIQUIBASE_COMMAND_USERNAME": database.user,
            "LIQUIBASE_COMMAND_PASSWORD": database.password,
            "LIQUIBASE_SHOW_BANNER": "false",
        }
        return Command(["bash", str(self._program), "update", "--changelog-file=changelog.xml"], folder, environment)


ALL: tuple[type[Tool], ...] = (Dbmate, Knex, Alembic, Liquibase, Yoyo, Sqitch)
