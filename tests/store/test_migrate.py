"""Steps of the schema, and databases that are not what we made."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import DataDir
from daemon.store import db as db_module
from daemon.store import migrate
from daemon.store.check import check
from daemon.store.db import Store, StoreBroken, StoreBusy
from daemon.store.migrate import SchemaError, Step, statements
from tests.store.stage import add_user, clean, deliver, message, open_store

ONE = Step(1, "one", "create table a (x integer); -- the first\n\ncreate table b (y integer);\n-- the end\n")
TWO = Step(2, "two", "alter table a add column z integer;\ninsert into a values (1, 2);\n")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def tables(db: sqlite3.Connection) -> list[str]:
    return [r[0] for r in db.execute("select name from sqlite_master where type = 'table' order by name")]


@pytest.mark.parametrize(
    "sql,count",
    [
        ("create table a (x);\n", 1),
        ("create table a (\n  x -- a comment; with a semicolon\n);\ncreate table b (y);", 2),
        ("-- only; a comment\n", 0),
        ("", 0),
        ("insert into a values ('one;\ntwo');\n", 1),
        ("create trigger t after insert on a begin\n  delete from b;\n  delete from c;\nend;\n", 1),
        ("/* a block;\n comment */ create table a (x);\n", 1),
    ],
)
def test_scripts_are_split_where_statements_end(sql: str, count: int) -> None:
    assert len(statements(sql)) == count


@pytest.mark.parametrize(
    "sql", ["create table a (x)", "create table a (x);\ncreate table b (", "insert into a values (';"]
)
def test_a_script_that_ends_in_the_middle_is_refused(sql: str) -> None:
    with pytest.raises(SchemaError, match="middle"):
        statements(sql)


def test_every_released_step_splits_and_is_numbered_from_one() -> None:
    steps = migrate.steps()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(statements(step.sql) for step in steps)


def test_steps_are_applied_once_and_in_order(db: sqlite3.Connection) -> None:
    assert migrate.apply(db, [ONE]) == [ONE]
    assert migrate.apply(db, [ONE, TWO]) == [TWO]
    assert migrate.apply(db, [ONE, TWO]) == []
    assert db.execute("select number, name from migration").fetchall() == [(1, "one"), (2, "two")]
    assert db.execute("select * from a").fetchall() == [(1, 2)]


def test_a_step_that_fails_half_way_leaves_nothing(db: sqlite3.Connection) -> None:
    migrate.apply(db, [ONE])
    broken = Step(2, "broken", "create table c (x);\ninsert into a values (5);\ninsert into nowhere values (1);\n")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate.apply(db, [ONE, broken])
    assert not db.in_transaction
    assert tables(db) == ["a", "b", "migration"]
    assert db.execute("select count(*) from a").fetchone() == (0,)
    assert migrate.apply(db, [ONE, TWO]) == [TWO]


def test_a_first_step_that_fails_leaves_the_database_empty(db: sqlite3.Connection) -> None:
    with pytest.raises(SchemaError):
        migrate.apply(db, [Step(1, "half", "create table a (x);\ncreate table b (")])
    assert migrate.is_empty(db)
    assert db.execute("pragma application_id").fetchone() == (0,)
    assert migrate.apply(db, [ONE]) == [ONE]


def test_a_database_of_another_program_is_refused(db: sqlite3.Connection) -> None:
    db.execute("create table theirs (x)")
    with pytest.raises(SchemaError, match="another program"):
        migrate.apply(db, [ONE])
    assert tables(db) == ["theirs"]


def test_a_newer_database_is_refused(db: sqlite3.Connection) -> None:
    migrate.apply(db, [ONE, TWO])
    with pytest.raises(SchemaError, match="step 2, newer"):
        migrate.apply(db, [ONE])


def test_a_released_step_never_changes(db: sqlite3.Connection) -> None:
    migrate.apply(db, [ONE])
    with pytest.raises(SchemaError, match="0001_one differs"):
        migrate.apply(db, [Step(1, "one", ONE.sql + "-- edited\n"), TWO])


def test_a_database_without_its_record_of_migrations_is_refused(db: sqlite3.Connection) -> None:
    migrate.apply(db, [ONE])
    db.execute("drop table migration")
    with pytest.raises(SchemaError, match="record of migrations"):
        migrate.apply(db, [ONE])


@pytest.mark.parametrize("moment", range(5))
def test_a_database_made_by_another_process_meanwhile_is_not_foreign(tmp_path: Path, moment: int) -> None:
    class Late(sqlite3.Connection):
        asked = 0

        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            self.asked += 1
            if self.asked == moment + 1:
                other = sqlite3.connect(tmp_path / "db", isolation_level=None)
                migrate.apply(other, [ONE])
                other.close()
            return super().execute(sql, *args)  # type: ignore[arg-type]

    late = sqlite3.connect(tmp_path / "db", isolation_level=None, factory=Late)
    assert migrate.pending(late, [ONE]) in ([], [ONE])
    assert migrate.apply(late, [ONE]) in ([], [ONE])
    assert tables(late) == ["a", "b", "migration"]
    late.close()


# --------------------------------------------------------------------------------------------- what a start can find


def test_a_first_start_makes_a_private_database(data: DataDir) -> None:
    store = open_store(data)
    assert data.path.stat().st_mode & 0o777 == 0o700
    assert data.database.stat().st_mode & 0o777 == 0o600
    clean(store)
    store.close()
    open_store(data).close()


def test_a_foreign_database_is_refused_and_left_as_it_is(data: DataDir) -> None:
    data.make()
    other = sqlite3.connect(data.database)
    other.execute("create table theirs (x)")
    other.commit()
    other.close()
    data.database.chmod(0o644)
    before = data.database.read_bytes()
    with pytest.raises(StoreBroken, match=r"mail\.db: the database belongs to another program"):
        Store.open(data)
    assert data.database.read_bytes() == before
    assert data.database.stat().st_mode & 0o777 == 0o644
    assert not data.database.with_name("mail.db-wal").exists()


@pytest.mark.parametrize("content", [b"This is a text file, not a database.\n" * 100, os.urandom(5000)])
def test_a_file_that_is_no_database_is_refused(data: DataDir, content: bytes) -> None:
    data.make()
    data.database.write_bytes(content)
    with pytest.raises(StoreBroken, match="not a database"):
        Store.open(data)
    assert data.database.read_bytes() == content


def test_every_lost_page_of_a_database_is_refused_at_the_start_or_found_by_the_checker(data: DataDir) -> None:
    store = open_store(data)
    account = store.write_now(add_user)
    for number in range(50):
        deliver(store, account, message(str(number)))
    store.close()
    whole = data.database.read_bytes()
    for page in range(0, len(whole), 4096):
        data.database.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])
        try:
            store = open_store(data)
        except StoreBroken as error:
            assert str(error).endswith("restore a backup")
            continue
        assert list(check(store)), f"page {page // 4096} is lost, and nobody noticed"
        store.close()


def test_a_database_at_a_newer_step_is_refused_in_one_sentence(data: DataDir) -> None:
    open_store(data).close()
    other = sqlite3.connect(data.database)
    other.execute("insert into migration values (9999, 'future', 'x', 0)")
    other.commit()
    other.close()
    with pytest.raises(StoreBroken, match="newer than this program; install the newer version"):
        Store.open(data)


def test_an_empty_database_beside_mail_is_not_taken_for_a_first_start(data: DataDir) -> None:
    store = open_store(data)
    account = store.write_now(add_user)
    deliver(store, account, message())
    store.close()
    data.database.unlink()
    with pytest.raises(StoreBroken, match="empty, but .*segments is not; restore a backup"):
        Store.open(data)


def test_a_locked_database_is_busy_not_broken(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    data.make()
    other = sqlite3.connect(data.database, isolation_level=None)
    other.execute("begin exclusive")
    monkeypatch.setattr(db_module, "LIMITS", type("Short", (), {"busy": 50, "reserve": 0, "segment": 1 << 28}))
    with pytest.raises(StoreBusy):
        Store.open(data)
    other.execute("rollback")
    other.close()
    Store.open(data).close()


def test_several_processes_may_start_on_a_new_directory_at_once(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from daemon.config import DataDir\n"
        "from daemon.store.db import Store\n"
        "sys.stdin.readline()\n"
        "store = Store.open(DataDir(Path(sys.argv[1])))\n"
        "store.write_now(lambda tx: tx.run('insert into setting values (?, ?)', sys.argv[2], ''))\n"
        "store.close()\n"
    )
    for attempt in range(3):
        path = tmp_path / str(attempt)
        children = [
            subprocess.Popen([sys.executable, "-c", script, str(path), str(n)], stdin=subprocess.PIPE) for n in range(4)
        ]
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"\n")
            child.stdin.close()
        assert [child.wait(60) for child in children] == [0] * 4
        store = open_store(DataDir(path))
        assert store.read_now(lambda tx: tx.value("select count(*) from setting")) == 4
        assert store.read_now(lambda tx: tx.value("select count(*) from migration")) == len(migrate.steps())
        clean(store)
        store.close()
