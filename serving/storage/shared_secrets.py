"""Secrets that all processes of a deployment share: drawn once, kept in the database. Never logged."""

import secrets
from collections.abc import Callable

import sqlalchemy as sa

from serving.storage.tables import secrets as table

LINKS, WEBHOOKS = "links", "webhooks"


class SharedSecrets:
    def __init__(self, engine: sa.Engine, draw_webhooks: Callable[[], str]) -> None:
        """draw_webhooks: gives a fresh secret for webhooks."""
        self._engine, self._draw_webhooks = engine, draw_webhooks

    @property
    def links(self) -> bytes:
        """What signed links are signed with."""
        return bytes.fromhex(self._shared(LINKS, secrets.token_hex(32)))

    @property
    def webhooks(self) -> str:
        """What the secrets of webhooks are made from: whsec_…"""
        return self._shared(WEBHOOKS, self._draw_webhooks())

    def _shared(self, name: str, fresh: str) -> str:
        """The one that is there, else this fresh one, unless another process was quicker."""
        if (found := self._get(name)) is None:
            try:
                with self._engine.begin() as connection:
                    connection.execute(table.insert().values(name=name, value=fresh))
            except sa.exc.IntegrityError:
                pass
            found = self._get(name)
        assert found is not None, name
        return found

    def _get(self, name: str) -> str | None:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(table.c.value).where(table.c.name == name)).scalar_one_or_none()
