"""The version of the tables in a database. Knows no engine.

None are converted: those of another version are refused, and stay as they are for the release that made them.
"""

import sqlalchemy as sa

from models.errors import InvalidRequest
from serving.storage.tables import metadata
from serving.storage.tables import schema as table

VERSION = 1  # of storage/tables.py; a change there is a new one
UNKNOWN = 0  # tables from before they had a version


def set_up(connection: sa.Connection) -> None:
    """All tables, where there are none. Raises InvalidRequest where there are those of another version."""
    found = _version(connection)
    if found is None:
        metadata.create_all(connection)
        connection.execute(table.insert().values(version=VERSION))
    elif found != VERSION:
        raise InvalidRequest(
            "database",
            f"holds tables of version {found}; this release reads and writes version {VERSION} alone. Start the "
            "release that made them, or begin with an empty database: another --data folder, or another DATABASE_URL.",
        )


def _version(connection: sa.Connection) -> int | None:
    """None: there are no tables of ours."""
    names = set(sa.inspect(connection).get_table_names())
    if table.name in names:
        return connection.execute(sa.select(table.c.version)).scalar_one()
    return UNKNOWN if names & metadata.tables.keys() else None
