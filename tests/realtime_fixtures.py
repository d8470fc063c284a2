"""What the tests of the Realtime socket share: the openai package's own classes as judges of every event."""

import importlib
import typing
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter


@cache
def openai_classes(package: str) -> dict[str, type[BaseModel]]:
    """The class of each server event by its type, in "openai.types.realtime" or "openai.types.beta.realtime"."""
    module = importlib.import_module(f"{package}.realtime_server_event")
    union = typing.get_args(module.RealtimeServerEvent)[0]
    found = {}
    for event in typing.get_args(union):
        for name in typing.get_args(event.model_fields["type"].annotation):
            found[name] = event
    return found


def judge(event: dict[str, Any], *, beta: bool = False) -> None:
    """Raises where clients of OpenAI's, which check nothing themselves, would be given what they were not promised."""
    package = "openai.types.beta.realtime" if beta else "openai.types.realtime"
    known = openai_classes(package)
    assert event["type"] in known, f"{package} knows no {event['type']}"
    TypeAdapter(known[event["type"]]).validate_python(event, strict=True)
    extras = event.keys() - known[event["type"]].model_fields.keys()
    assert not extras, f"{event['type']} has {extras}"
