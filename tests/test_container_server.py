"""Cog's server runs as a child process: it comes up, says why it did not, and leaves nothing behind."""

import base64
import json
import os
import sys
import threading
import time

import pytest
from container_fixtures import write_toy

from container.server import CogServer, LogLine, ServerError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with CogServer(directory=write_toy(tmp_path_factory.mktemp("toy"))) as running:
        yield running


def content(prediction: dict) -> list[str]:
    return base64.b64decode(prediction["output"].partition(",")[2]).decode().split("|")


def comes_true(condition, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_worker_runs_in_this_interpreter(server):
    executable, *_ = content(server.client.predict({"text": "say"}).json())
    assert os.path.dirname(executable) == os.path.dirname(sys.executable)


def test_what_setup_prints_is_told_from_what_the_server_says(server):
    assert comes_true(lambda: LogLine("setup speaks", is_output=True) in server.log)
    assert comes_true(lambda: LogLine("Server ready") in server.log)


def test_what_a_prediction_prints_arrives_while_it_runs(server):
    server.client.start({"text": "sleep", "seconds": 5}, "live")
    assert comes_true(lambda: any(line.text == "begin sleep" and line.is_output for line in server.log))
    assert server.client.health()["status"] == "BUSY"
    assert server.client.cancel_and_wait("live", 5)


def test_predict_asks_a_busy_server_again(server):
    server.client.start({"text": "sleep", "seconds": 0.3}, "first")
    assert server.client.predict({"text": "say"}, patience=0).status == 409
    assert server.client.predict({"text": "say"}).json()["status"] == "succeeded"


def test_one_thread_can_cancel_what_another_waits_for(server):
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(server.client.predict({"text": "sleep", "seconds": 30}, "waited"))
    )
    waiting.start()
    assert comes_true(lambda: server.client.health()["status"] == "BUSY")
    assert server.client.cancel_and_wait("waited", 10)
    waiting.join(5)
    assert answers[0].json()["status"] == "canceled"


def test_a_prediction_that_does_not_run_cannot_be_cancelled(server):
    assert server.client.cancel("unheard-of").status == 404


def test_output_files_go_with_the_server(tmp_path):
    with CogServer(directory=write_toy(tmp_path)) as server:
        _, path, *_ = content(server.client.predict({"text": "say"}).json())
        assert os.path.exists(path)
    assert not os.path.exists(path)


def test_an_idle_server_ends_cleanly_when_asked(tmp_path):
    with CogServer(directory=write_toy(tmp_path)) as server:
        assert server.stop(grace_seconds=5) == 0
        assert not server.is_running


def test_a_server_that_does_not_end_is_ended_with_its_worker(tmp_path):
    with CogServer(directory=write_toy(tmp_path)) as server:
        group = server._process.pid
        server.client.start({"text": "stuck", "seconds": 60}, "stuck")
        assert comes_true(lambda: server.client.health()["status"] == "BUSY")
        started = time.monotonic()
        server.stop(grace_seconds=0.2)
        assert time.monotonic() - started < 10
        assert comes_true(lambda: is_gone(group))


def test_a_failed_setup_is_an_error_that_says_why(tmp_path):
    server = CogServer(directory=write_toy(tmp_path), environment={"TOY_SETUP": "fails"})
    with pytest.raises(ServerError, match=r"weights missing: toy\.safetensors"), server:
        pass
    assert not server.is_running


def test_a_server_that_exits_is_an_error_that_shows_its_log(tmp_path):
    server = CogServer(directory=write_toy(tmp_path), environment={"COG_PREDICT_TYPE_STUB": ""})
    with pytest.raises(ServerError, match="COG_PREDICT_TYPE_STUB"), server:
        pass


def test_an_interpreter_that_the_worker_would_not_find_is_an_error(tmp_path, monkeypatch):
    """coglet starts its worker as `python`; without one its health stays STARTING for ever."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    with pytest.raises(ServerError, match="has no `python` beside it"):
        CogServer(directory=write_toy(tmp_path)).start()


def test_a_setup_that_takes_too_long_is_an_error(tmp_path):
    server = CogServer(directory=write_toy(tmp_path), setup_seconds=0)
    with pytest.raises(ServerError, match="nothing for 0 s"), server:
        pass


def test_a_crashed_worker_shows_as_unhealthy(tmp_path):
    """coglet does not start it again and does not exit: who supervises the server must look at its health."""
    with CogServer(directory=write_toy(tmp_path)) as server:
        answer = server.client.predict({"text": "crash"}).json()
        assert answer["status"] == "failed"
        assert "crashed" in answer["error"]
        assert server.client.health()["status"] == "UNHEALTHY"
        assert server.is_running


@pytest.mark.parametrize(
    ("fields", "target", "is_output"),
    [
        ({"message": "a", "source": "Stdout"}, "coglet::setup", True),
        ({"message": "a", "source": "Stderr", "prediction_id": "p"}, "coglet::prediction", True),
        ({"message": "a"}, "coglet::user", True),
        ({"message": "a"}, "coglet::prediction", False),
    ],
)
def test_output_is_known_by_its_source_or_its_target(fields, target, is_output):
    line = LogLine.parse(json.dumps({"level": "INFO", "fields": fields, "target": target}))
    assert line == LogLine("a", is_output, "INFO", fields.get("prediction_id"))


def test_what_cogs_worker_says_of_itself_is_no_output():
    """It comes as if the predictor had printed it."""
    text = "worker::coglet::bridge::codec::large_frame [info] Large frame being encoded"
    record = {"level": "INFO", "fields": {"message": text}, "target": "coglet::user"}
    assert LogLine.parse(json.dumps(record)) == LogLine(text)
    assert LogLine.parse(text) == LogLine(text)  # of a long song: more than 1 MiB in an answer


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "[1]", '{"fields": {}}', ""])
def test_a_line_that_is_no_record_is_kept_as_it_is(line):
    assert LogLine.parse(line) == LogLine(line, is_output=True)
