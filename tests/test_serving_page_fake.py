"""The fake that the page is tested with answers in the forms of the service. No browser."""

import httpx
import pytest
import serving_page_fixtures as fake
from pydantic import TypeAdapter
from serving_page_fixtures import FakeServing
from serving_page_take_fixtures import PROBLEM

from serving.web import response_schemas


@pytest.fixture(scope="module")
def state():
    state = FakeServing()
    for text in ("[S1] Good.", "[S1] This will fail.", "[S1] You will refuse.", "[S1] Cancelled."):
        state.take(text)
    state.takes[-1].canceled_at = 7
    state.take("[S1] Waiting.", ago=0.0)
    with fake.running(state):
        yield state


@pytest.fixture
def client(state):
    with httpx.Client(base_url=state.url) as client:
        yield client


def test_predictions_have_the_form_of_the_service(client):
    shown = [client.get(f"/v1/predictions/p{number}").json() for number in range(1, 6)]
    TypeAdapter(list[response_schemas.Prediction]).validate_python(shown)
    assert [p["status"] for p in shown[:4]] == ["succeeded", "failed", "failed", "canceled"]
    assert [p["metrics"].get("invalid_fields") for p in shown[:4]] == [None, None, [PROBLEM], None]
    TypeAdapter(response_schemas.PredictionPage).validate_python(client.get("/v1/predictions").json())


def test_voices_have_the_form_of_the_service(client):
    TypeAdapter(response_schemas.VoiceList).validate_python(client.get("/v1/audio/voices").json())


def test_refusals_have_the_form_and_the_status_of_the_service(client):
    for path, status in (("p9", 404), ("p2/audio?format=pcm", 409), ("p4/audio?format=pcm", 409)):
        answer = client.get(f"/v1/predictions/{path}")
        assert answer.status_code == status, path
        TypeAdapter(response_schemas.Problem).validate_python(answer.json())


def test_audio_that_does_not_end_well_breaks_off(state, client):
    assert client.get("/v1/predictions/p1/audio?format=pcm").headers["X-Sample-Rate"] == "16000"
    failing = state.take("[S1] This will fail.", pieces=6, ago=0.0)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/v1/predictions/{failing.id}/audio?format=pcm")
