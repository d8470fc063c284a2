"""A database of another release is refused with the way out, and stays as it is."""

import hashlib
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from models.errors import InvalidRequest
from serving import processes
from serving.__main__ import main
from serving.storage import schema as schema_module
from serving.storage.database import open_database, sqlite_url
from serving.storage.schema import VERSION
from serving.storage.tables import metadata, predictions
from serving.storage.tables import schema as table

pytest_plugins = ["postgres_fixtures"]

FINGERPRINTS = {1: "4657e8e206e85d71"}  # of the tables, by their version


def change(url: str, *statements: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    found = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_a_new_database_has_the_version_of_its_tables_and_is_opened_again(either_url):
    for _ in range(2):
        engine = open_database(either_url)
        with engine.connect() as connection:
            assert connection.execute(sa.select(table.c.version)).all() == [(VERSION,)]
        engine.dispose()
    assert tables(either_url) == set(metadata.tables)


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_tables_of_another_version_are_refused_with_the_way_out(either_url, version):
    """Before, the first statement failed for a column that was not there."""
    open_database(either_url).dispose()
    change(either_url, f"UPDATE {table.name} SET version = {version}", f"DROP TABLE {predictions.name}")
    with pytest.raises(InvalidRequest, match=rf"version {version}; .* version {VERSION} alone.* empty database"):
        open_database(either_url)
    assert predictions.name not in tables(either_url)


def test_tables_from_before_there_were_versions_are_refused(either_url):
    change(either_url, f"CREATE TABLE {predictions.name} (id varchar(32))", "CREATE TABLE somebody_elses (id integer)")
    with pytest.raises(InvalidRequest, match="version 0"):
        open_database(either_url)
    assert tables(either_url) == {predictions.name, "somebody_elses"}


def test_tables_of_others_in_the_same_database_are_no_hindrance(either_url):
    change(either_url, "CREATE TABLE somebody_elses (id integer)")
    open_database(either_url).dispose()
    assert tables(either_url) == {*metadata.tables, "somebody_elses"}


def test_the_process_ends_with_the_reason_in_a_line(tmp_path, monkeypatch, capsys):
    open_database(sqlite_url(tmp_path / "parley.db")).dispose()
    monkeypatch.setattr(schema_module, "VERSION", VERSION + 1)
    monkeypatch.setattr(processes, "_until_told", threading.Event)  # signals are those who run the tests'
    assert main(["--no-auth", "--port", "0", "--data", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: database: holds tables of version {VERSION}; ")


def test_a_change_of_the_tables_is_a_new_version_of_them():
    """Change `VERSION` with them, and write down here what they are then."""
    indexes = sorted((index for one in metadata.sorted_tables for index in one.indexes), key=lambda index: index.name)
    made = [str(CreateTable(one)) for one in metadata.sorted_tables]
    made += [f"{CreateIndex(index)} WHERE {index.dialect_options['sqlite']['where']}" for index in indexes]
    said = "\n".join(made)
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == FINGERPRINTS[VERSION]
