"""What a deployment decides is refused where it cannot be, with the value and the way out."""

import socket
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from serving_queue_fixtures import opened

from models.errors import InvalidRequest, WeightsError
from serving import processes
from serving.__main__ import main
from serving.processes import listen
from serving.service import Service
from serving.settings import Settings
from serving.storage.store import open_store
from serving.work.backend import Backends
from serving.work.queue import PREDICTIONS


@pytest.mark.parametrize(
    ("name", "value"),
    [("keep_hours", 0.0), ("keep_hours", float("nan")), ("grace_seconds", float("inf")), ("at_once", -1)],
)
def test_what_is_counted_or_timed_is_above_zero_and_finite(name: str, value: float) -> None:
    """Before, what was kept for nan hours was never deleted."""
    with pytest.raises(InvalidRequest, match=rf"{name}: is {value}; it must be above 0"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", ["port", "health_port"])
@pytest.mark.parametrize("value", [-1, 65_536])
def test_a_port_that_cannot_be_is_told_as_such(name: str, value: int) -> None:
    """Before, a traceback of the socket's."""
    with pytest.raises(InvalidRequest, match=rf"{name}: is {value}; ports are 0 to 65535"):
        Settings(**{name: value})


def test_a_port_that_is_taken_is_told_as_such() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidRequest, match=rf"port: is {port}; nothing can listen there .*in use"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", 0) as free:
        assert free.family is socket.AF_INET


@pytest.mark.parametrize("models", ["", " , ", "bark", "dia,bark", "parley/dia"])
def test_models_that_cannot_be_served_are_told_with_those_that_can(models: str) -> None:
    with pytest.raises(InvalidRequest, match=r"models: is .*; name one or more of dia, musicgen, audiogen\."):
        Settings(models=models)


def test_dia_is_served_unless_others_are_named() -> None:
    assert [*Settings().served] == ["parley/dia"]
    assert [*Settings.from_environ({"PARLEY_MODELS": "audiogen, dia"}).served] == ["parley/dia", "parley/audiogen"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"chat_base_url": "http://127.0.0.1:11434/v1"}, "chat_model: is not given, and chat_base_url is"),
        ({"chat_model": "llama3.2"}, "chat_base_url: is not given, and chat_model is"),
        ({"chat_base_url": "127.0.0.1:11434", "chat_model": "llama3.2"}, "chat_base_url: "),
        ({"chat_api_key": "key\n"}, "chat_api_key: holds what no header can"),
        ({"chat_api_key": "kéy"}, "chat_api_key: holds what no header can"),
        ({"chat_seconds": 0.0}, "chat_seconds: is 0.0; it must be above 0"),
    ],
)
def test_a_chat_server_that_cannot_be_asked_is_told_as_such(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told) as refused:
        Settings(**given)
    assert "key\n" not in str(refused.value)


def test_a_chat_server_has_the_names_that_others_give_it() -> None:
    named = {"CHAT_BASE_URL": "http://a/v1", "CHAT_MODEL": "m", "CHAT_API_KEY": "secret", "CHAT_SECONDS": "5"}
    settings = Settings.from_environ(named)
    chat = (settings.chat_base_url, settings.chat_model, settings.chat_api_key, settings.chat_seconds)
    assert chat == ("http://a/v1", "m", "secret", 5.0)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("url", ["mysql://parley:hunter2@db/parley", "db.example.org"])
def test_a_database_of_another_kind_is_told_as_such(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"database_url: has the scheme .*postgresql://") as refused:
        Settings(database_url=url)
    assert "hunter2" not in str(refused.value)


def test_a_process_without_its_database_ends_with_the_reason_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_until_told", threading.Event)  # signals are those who run the tests'
    with listen("127.0.0.1", 0) as unused:
        port = unused.getsockname()[1]
    url = f"postgresql://parley:hunter2@127.0.0.1:{port}/parley"
    assert main(["--no-auth", "--port", "0", "--data", str(tmp_path), "--database-url", url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the database is away, or lets nobody in: OperationalError")
    assert "hunter2" not in line


def test_what_cannot_be_opened_is_told_in_a_line_and_nothing_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, each ended in a trace of this program's own calls, the certificate after the models had been loaded."""
    monkeypatch.setattr(processes, "_until_told", threading.Event)  # signals are those who run the tests'
    monkeypatch.setattr(Service, "start_work", lambda *_: pytest.fail("it began to load models"))
    file, data = tmp_path / "bytes", ["--data", str(tmp_path / "data")]
    file.write_bytes(b"\xff")
    for options, told in (
        (["--data", str(file)], f"data: is {file}, where nothing can be kept (File exists). Name another folder."),
        (["--data", str(file / "in")], f"data: is {file / 'in'}, where nothing can be kept (Not a directory)."),
        ([*data, "--database-url", f"sqlite:///{file}/x.db"], f"database_url: leads to {file}/x.db, where no file"),
        ([*data, "--certfile", str(file)], f"certfile: is '{file}', which is no certificate as PEM"),
    ):
        assert main(["--no-auth", "--port", "0", *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {told}")
    assert main(["--tokens-file", str(file), "--port", "0", *data]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: tokens_file: is '{file}', which cannot be read as text: ")


def test_a_setting_of_the_model_that_does_not_hold_is_told_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before, its message was the last line of a trace. What is no mistake of a setting has its trace."""

    def load() -> Backends:
        raise WeightsError("PARLEY_MODEL is 'x'; it must be dia.")

    def break_down() -> Backends:
        raise KeyError("x")

    for failing, traced in ((load, False), (break_down, True)):
        over = threading.Event()
        with Service(Settings(data=tmp_path, no_auth=True), "http://127.0.0.1") as service:
            service.start_work(failing, on_error=lambda error, over=over: over.set())
            assert over.wait(20)
        said = next(one for one in reversed(caplog.records) if one.name == "parley")
        assert said.getMessage().startswith("this process can work no more: ")
        assert bool(said.exc_info) is traced


@pytest.mark.parametrize("bucket", ["parley", "s3://", "ftp://parley/x"])
def test_what_names_no_bucket_is_told_as_such(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=f"bucket: is '{bucket}', which names none"):
        open_store(tmp_path, bucket)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("no", False)])
def test_a_switch_of_the_environment_is_read(text: str, value: bool) -> None:
    assert Settings.from_environ({"PARLEY_HTTP_ONLY": text}).http_only is value


@pytest.mark.parametrize(("name", "text"), [("PARLEY_HTTP_ONLY", "perhaps"), ("PARLEY_PORT", "eighty")])
def test_what_cannot_be_read_is_told_by_the_name_of_its_variable(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}: is '{text}'"):
        Settings.from_environ({name: text})


def test_the_command_line_goes_before_the_environment() -> None:
    assert Settings.from_environ({"PARLEY_PORT": "1"}, port=2).port == 2


def test_the_last_worker_to_start_decides_for_all_how_much_each_makes_at_once_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The queue keeps one number for all of them."""
    with opened(tmp_path) as queue:
        for at_once in (4, 4, 2):
            queue.open(at_once, [])
            kept = queue.client.retrieve_queue(PREDICTIONS)
            assert kept is not None
            assert kept.worker_concurrency == at_once
    assert [record.getMessage() for record in caplog.records if record.name == "parley.queue"] == [
        "every worker makes 2 predictions at once from now on, not 4"
    ]
    (said,) = [f.metadata["help"] for f in fields(Settings) if f.name == "at_once"]
    assert "of the last to start holds for all" in said
