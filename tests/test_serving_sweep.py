"""What has been kept long enough goes, each kind for itself, and nothing else does."""

import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from serving.storage.database import open_database, sqlite_url
from serving.storage.files import WANTED_SECONDS
from serving.storage.prediction import Prediction
from serving.storage.records import Records
from serving.storage.retention import Retention
from serving.work import sweep as sweep_module
from serving.work.sweep import (
    HALF_WRITTEN_SECONDS,
    KEY_SECONDS,
    LIVE_SECONDS,
    QUEUE_SECONDS,
    SWEEP_SECONDS,
    Sweep,
)

NOW = 1e7  # seconds since 1970


@dataclass
class Asked:
    """What a sweep asked for, and of which time."""

    of: dict[str, float] = field(default_factory=dict)

    def hear(self, name: str):
        return lambda moment: self.of.update({name: NOW - moment})


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(sweep_module.time, "time", lambda: NOW)
    return Asked()


@pytest.fixture
def engine(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield engine
    engine.dispose()


def sweep_of(asked: Asked, **rooms) -> Sweep:
    hear = asked.hear
    given = {
        "records": SimpleNamespace(active=list),
        "retention": SimpleNamespace(
            remove_data=hear("data"), free_keys=hear("keys"), forget=hear("rows"), leftovers=list
        ),
        "tallies": SimpleNamespace(add_up=lambda: asked.of.update(tallies=0.0)),
        "files": SimpleNamespace(delete_expired=hear("files"), workspace=SimpleNamespace(sweep=hear("arriving"))),
        "store": SimpleNamespace(sweep=hear("store")),
        "live": SimpleNamespace(forget=hear("live")),
        "queue": SimpleNamespace(forget_ended=hear("queue")),
        **rooms,
    }
    return Sweep(**given, keep_seconds=3600.0, forget_seconds=86_400.0)


def test_each_kind_is_deleted_after_its_own_time_by_a_chore_of_its_own(asked):
    """Before, one that failed stopped those behind it."""
    chores = sweep_of(asked).chores()
    for chore in reversed(chores):
        chore.do()
    assert asked.of == {
        "tallies": 0.0,
        "data": 3600.0,
        "rows": 3600.0 + 86_400.0,
        "keys": KEY_SECONDS,
        "files": 0.0,
        "store": HALF_WRITTEN_SECONDS,
        "arriving": HALF_WRITTEN_SECONDS,
        "live": LIVE_SECONDS,
        "queue": QUEUE_SECONDS,
    }
    assert {chore.every_seconds for chore in chores} == {SWEEP_SECONDS}
    assert len({chore.name for chore in chores}) == len(chores) == 8


def test_the_files_that_unfinished_predictions_wait_for_are_kept(engine, asked):
    records = Records(engine)
    for name, value in (("waiting", "file:a"), ("over", "file:b"), ("elsewhere", "https://example.org/c.wav")):
        given = {"text": "[S1] Hi.", "audio_prompt": value, "seed": 1}
        records.create(Prediction(name, "alice", "predictions", "parley/dia", "v", given))
    records.cancel("over")
    kept: dict[str, float] = {}
    files = SimpleNamespace(
        keep_until=lambda ids, moment: kept.update(dict.fromkeys(ids, moment)), delete_expired=lambda now: 0
    )
    sweep_of(asked, records=records, files=files).delete_files()
    assert kept == {"a": NOW + WANTED_SECONDS}


def test_who_is_told_is_kept_until_nothing_is_to_be_told_any_more(engine, monkeypatch):
    """Before, a webhook's URL and an error, which may quote what was asked, were kept for ever."""
    records, retention, untold = Records(engine), Retention(engine), {"unsent"}
    for name in ("unannounced", "unsent", "told"):
        made = Prediction(name, "alice", "predictions", "parley/dia", "v", {"text": "secret"}, webhook="http://hook/")
        records.create(made)
        problems = [["text", "holds secret."]]
        records.finish(records.begin(name), "failed", error="text: holds secret.", problems=problems)
        if name != "unannounced":
            records.announced(name)
    later = time.time() + 3601
    monkeypatch.setattr(sweep_module.time, "time", lambda: later)
    queue = SimpleNamespace(untold=lambda: set(untold))
    sweep = sweep_of(Asked(), records=records, retention=retention, queue=queue)

    def left() -> list[bool]:
        found = [records.get(name) for name in ("unannounced", "unsent", "told")]
        assert all(p.data_removed and not p.input for p in found)
        assert all(bool(p.webhook) == bool(p.error) == bool(p.problems) for p in found)
        return [bool(p.webhook) for p in found]

    sweep.remove_data()
    assert left() == [True, True, False]
    untold.clear()
    records.announced("unannounced")
    sweep.remove_data()
    assert left() == [False, False, False]
