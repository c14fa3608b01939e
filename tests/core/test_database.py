"""Transactions: tried again where that helps, and never half-done."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

from hub.core.database import Database, uuid7
from hub.core.errors import SetupError
from hub.core.people.models import Person


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def on_sqlite(database):
    if not database.is_sqlite:
        pytest.skip("about SQLite's one writer")
    return database.engine.url.database


def names(database):
    with database.read() as session:
        return sorted(session.scalars(select(Person.name)))


def test_ids_sort_by_when_they_were_made():
    made = []
    for _ in range(5):
        made.append(uuid7())
        time.sleep(0.002)
    assert made == sorted(made)
    assert len({uuid7() for _ in range(1000)}) == 1000
    assert {(id.version, id.variant) for id in made} == {(7, "specified in RFC 4122")}


def test_work_that_raises_leaves_nothing(database):
    def work(session):
        session.add(Person(name="Ann"))
        session.flush()
        raise KeyError("half-way")

    with pytest.raises(KeyError):
        database.transact(work)
    assert names(database) == []


def test_a_change_in_a_reading_session_is_thrown_away(database):
    with database.read() as session:
        session.add(Person(name="Ann"))
    assert names(database) == []


def test_work_on_a_row_that_changed_meanwhile_is_done_again_on_what_it_is_now(database):
    database.transact(lambda session: session.add(Person(name="a")))
    seen = []

    def work(session):
        person = session.scalars(select(Person)).one()
        seen.append(person.name)
        if len(seen) == 1:
            # As if another process had been faster.
            session.execute(update(Person).values(name="b", revision=2).execution_options(synchronize_session=False))
        person.name += "!"

    database.transact(work)
    assert seen == ["a", "a"]  # the first try was rolled back with what it did
    assert names(database) == ["a!"]


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (StaleDataError("changed"), 2),
        (OperationalError("x", {}, sqlite3.OperationalError("database is locked")), 2),
        (OperationalError("x", {}, type("Deadlock", (Exception,), {"sqlstate": "40P01"})()), 2),
        (OperationalError("x", {}, type("Serialisation", (Exception,), {"sqlstate": "40001"})()), 2),
        (OperationalError("x", {}, type("Other", (Exception,), {"sqlstate": "57014"})()), 1),
        (IntegrityError("x", {}, sqlite3.IntegrityError("UNIQUE")), 1),
    ],
    ids=["changed meanwhile", "busy", "deadlock", "serialisation", "cancelled", "taken"],
)
def test_only_what_another_try_may_mend_is_tried_again(database, failure, tries):
    tried = []

    def work(session):
        tried.append(1)
        if len(tried) == 1:
            raise failure
        return "done"

    if tries == 1:
        with pytest.raises(type(failure)):
            database.transact(work)
    else:
        assert database.transact(work) == "done"
    assert len(tried) == tries


def test_two_that_lock_crosswise_both_get_done(database):
    one, two = Person(name="0"), Person(name="0")
    database.transact(lambda session: session.add_all([one, two]))
    both_hold_one = threading.Barrier(2)

    def count_up(ids):
        tries = []

        def work(session):
            tries.append(1)
            for position, id in enumerate(ids):
                person = session.get(Person, id, with_for_update=True)
                person.name = str(int(person.name) + 1)
                session.flush()
                if position == 0 and len(tries) == 1 and not database.is_sqlite:
                    both_hold_one.wait(timeout=20)

        database.transact(work)

    threads = [threading.Thread(target=count_up, args=(ids,)) for ids in ((one.id, two.id), (two.id, one.id))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(database) == ["2", "2"]


def test_a_write_transaction_is_the_one_writer_from_its_first_statement(database, on_sqlite):
    def work(session):
        session.execute(select(Person)).all()
        with closing(sqlite3.connect(on_sqlite, timeout=0, isolation_level=None)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            return True

    assert database.transact(work)


def test_a_plain_read_takes_no_write_lock(database, on_sqlite):
    with database.read() as session, closing(sqlite3.connect(on_sqlite, timeout=0, isolation_level=None)) as other:
        session.execute(select(Person)).all()
        other.execute("BEGIN IMMEDIATE")  # would be refused at once
        other.execute("COMMIT")


def test_a_foreign_key_holds_on_every_database(database):
    task = text(
        "INSERT INTO contact (id, revision, client_id, first_name, last_name, email, phone, job_title, "
        "created_at, updated_at) VALUES (:id, 1, :id, '', 'x', '', '', '', :at, :at)"
    )

    def work(session):
        session.execute(task, {"id": uuid7().hex, "at": "2026-01-01 00:00:00"})

    with pytest.raises(IntegrityError):
        database.transact(work)


def test_the_statement_that_the_database_refuses_is_said_without_its_values(database):
    statement = text("INSERT INTO person (id, name) VALUES (:id, :name)")

    def work(session):
        session.execute(statement, {"id": uuid7().hex, "name": "s3cret"})  # a person has more columns

    with pytest.raises(IntegrityError) as caught:
        database.transact(work)

    assert "s3cret" not in str(caught.value).replace(str(caught.value.orig), "")


def test_a_database_without_tables_is_explained(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    with pytest.raises(SetupError, match="hub db upgrade"):
        database.transact(lambda session: session.scalars(select(Person)).all())
    database.close()


def test_an_empty_postgresql_database_is_explained(postgres_server):
    url = postgres_server.create_database(f"t_{uuid7().hex}")
    database = Database(url)
    with pytest.raises(SetupError, match="hub db upgrade"), database.read() as session:
        session.scalars(select(Person)).all()
    database.close()


def test_another_failure_of_the_database_is_not_swallowed(database, on_sqlite):
    with pytest.raises(OperationalError), database.read():
        raise OperationalError("x", {}, sqlite3.OperationalError("interrupted"))
