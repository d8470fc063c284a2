"""Containers die, start again and come late. What was accepted is made all the same, or left for who can."""

import threading
import time

import pytest
from serving_cog_fixtures import HASTY, Heard, Intake, closed, data_uri, fake_cogs, succeeded, write_tone
from serving_fixtures import CREATE, running, wait_for

from models.errors import EngineClosed, GenerationFailed, InvalidRequest
from serving import __main__ as command
from serving.catalog import DIA
from serving.cog import fleet
from serving.cog.backend import CogBackend
from serving.settings import Settings
from serving.work.runner import MOST_ATTEMPTS


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch):
    monkeypatch.setattr(fleet, "LONGEST_REST", 0.1)


@pytest.fixture
def cogs(tmp_path):
    content = data_uri(write_tone(tmp_path / "tone.wav"))
    with fake_cogs(2, lambda inputs: succeeded(content)) as fakes:
        yield fakes


# --- deaths ----------------------------------------------------------------------------------------------------------


def test_what_a_container_takes_with_it_is_made_by_another(tmp_path, cogs):
    first, second = cogs
    heard = Heard()
    with closed(first):
        making = Intake(tmp_path, cogs).begin(heard=heard)
        wait_for(lambda: first.running)
        first.die()
        assert making.result(10).path.exists()
    assert (len(first.began), len(second.began)) == (1, 1)
    assert first.inputs == second.inputs
    assert heard.logs == ["note: the container broke off.", "seed: 7", "ended well"]


def test_the_only_container_may_start_again(tmp_path, cogs):
    cog = cogs[0]
    with closed(cog):
        making = Intake(tmp_path, [cog]).begin()
        wait_for(lambda: cog.running)
        cog.die()
    cog.start()
    making.result(10)
    assert len(set(cog.began)) == 2


def crashed(cog):
    """coglet says that this one failed, and stays up without a worker."""

    def answer(inputs):
        cog.health = "UNHEALTHY"
        return {"status": "failed", "error": "PredictionRunner crashed", "logs": ""}

    return answer


def test_what_crashed_its_container_is_made_by_another_and_that_one_is_left_alone(tmp_path, cogs):
    first, second = cogs
    first.answer = crashed(first)
    intake = Intake(tmp_path, cogs)
    for number in range(3):
        intake.make(f"p{number}")
    assert (len(first.began), len(second.began)) == (1, 3)


def test_what_somebody_else_cancelled_there_is_made_all_the_same(tmp_path, cogs):
    first, second = cogs
    with closed(first):
        making = Intake(tmp_path, cogs).begin()
        wait_for(lambda: first.running)
        first.cancelled.append(first.running)
        making.result(10)
    assert len(second.began) == 1


def test_a_container_that_forgot_what_it_was_given_is_left_for_another(tmp_path, cogs):
    first, second = cogs
    first.silent = True
    Intake(tmp_path, cogs, HASTY).make()
    assert len(second.began) == 1
    wait_for(lambda: first.hung_up)


def test_what_breaks_every_container_fails_at_last(tmp_path, cogs):
    def broken(inputs):
        raise ConnectionError

    for cog in cogs:
        cog.answer = broken
    with pytest.raises(GenerationFailed, match=f"^{MOST_ATTEMPTS} containers"):
        Intake(tmp_path, cogs).make()
    assert sum(len(cog.began) for cog in cogs) == MOST_ATTEMPTS


@pytest.mark.parametrize("answer", [succeeded("http://127.0.0.1:9/gone.wav"), {"http": 502}])
def test_what_came_to_nothing_on_its_way_back_is_made_anew(tmp_path, cogs, answer):
    first, second = cogs
    first.answer = lambda inputs: dict(answer)
    Intake(tmp_path, cogs).make()
    assert len(second.began) == 1


# --- none there ------------------------------------------------------------------------------------------------------


def test_containers_that_are_not_there_yet_are_waited_for(tmp_path, cogs):
    cog = cogs[0]
    cog.die()
    making = Intake(tmp_path, [cog]).begin()
    time.sleep(HASTY.lost / 4)
    cog.start()
    making.result(10)


@pytest.mark.parametrize("health", ["UNHEALTHY", "SETUP_FAILED", None])
def test_without_a_container_that_lives_the_process_is_told(tmp_path, cogs, health):
    """As if the engine had broken: the prediction is left for a process that can."""
    cog = cogs[0]
    cog.health = health
    if health is None:
        cog.die()
    began = time.monotonic()
    with pytest.raises(EngineClosed):
        Intake(tmp_path, [cog], HASTY).make()
    assert HASTY.lost <= time.monotonic() - began < 10 * HASTY.lost
    assert cog.began == []


def test_a_service_is_ready_as_soon_as_one_container_is(cogs, caplog):
    first, second = cogs
    first.die()
    second.health = "STARTING"
    waiting = threading.Thread(target=CogBackend([first.url, second.url], HASTY).wait_until_ready)
    waiting.start()
    wait_for(lambda: f"{first.url} is AWAY, {second.url} is STARTING" in caplog.text)
    assert waiting.is_alive()
    second.health = "READY"
    waiting.join(10)
    assert not waiting.is_alive()


def test_containers_make_the_audio_where_the_settings_name_some(cogs):
    settings = Settings.from_environ({"PARLEY_COG_URLS": f"{cogs[0].url}/, {cogs[1].url}"})
    assert isinstance(command.load_backends(settings)[DIA.full_name], CogBackend)


@pytest.mark.parametrize("urls", ["10.0.0.5:5000", "ftp://cog", "http://cog,cog2"])
def test_an_address_that_is_none_is_refused_at_the_start(urls):
    with pytest.raises(InvalidRequest, match=r"^cog_urls: "):
        Settings(cog_urls=urls)


def test_the_log_names_no_password(cogs, caplog):
    url = cogs[0].url.replace("http://", "http://name:secret@")
    caplog.set_level("INFO")
    CogBackend([url], HASTY).wait_until_ready()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("parley")]
    assert said == [f"Cog containers: {cogs[0].url} is READY"]


# --- a whole service -------------------------------------------------------------------------------------------------


def test_a_service_in_front_of_containers_serves_as_one_with_an_engine(tmp_path, cogs):
    backend = CogBackend([cog.url for cog in cogs])
    with running(tmp_path, backend) as service, service.client() as client:
        asked = {"input": {"text": "[S1] Hello.", "seed": 7}}
        made = client.post(CREATE, json=asked, headers={"Prefer": "wait"}).json()
        assert (made["status"], made["metrics"]["tokens"]) == ("succeeded", 26)
        assert made["logs"] == "seed: 7\nended well\n"
        kept = client.get(made["output"]).content
        assert kept == (tmp_path / "tone.wav").read_bytes()
        heard = client.get(f"/v1/predictions/{made['id']}/audio", params={"format": "pcm"}).content
        assert heard == kept[-len(heard) :]
        with closed(*cogs):
            name = client.post(CREATE, json=asked).json()["id"]
            cog = wait_for(lambda: next((cog for cog in cogs if cog.running), None))
            client.post(f"/v1/predictions/{name}/cancel")
            wait_for(lambda: cog.cancelled, 1.5)
        assert client.get(f"/v1/predictions/{name}").json()["status"] == "canceled"
