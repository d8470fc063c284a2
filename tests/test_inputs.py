"""What a caller may ask of a dialogue: mistakes that pydantic words badly are told in words of ours."""

import pytest

from models.errors import InvalidRequest
from models.inputs import DialogueInputs

HALF = "holds half a surrogate pair, which is no character. Leave it out."


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"text": "Hey \ud83d"}, "text"),
        ({"text": "Hey.", "audio_prompt_text": "\udc00"}, "audio_prompt_text"),
        ({"text": "Hey.", "a\ud800b": 1}, "a\\ud800b"),
        ({"text": "Hey.", "\udfff": None}, "\\udfff"),
    ],
)
def test_half_a_character_is_refused_in_a_text_and_in_a_name(given: dict[str, object], field: str) -> None:
    """Before, one in a name was an IndexError, and a text with one was told to be a number."""
    with pytest.raises(InvalidRequest) as raised:
        DialogueInputs.parse(**given)
    assert raised.value.problems == ((field, HALF),)
    assert str(raised.value).encode()


def test_a_whole_character_of_two_halves_is_one() -> None:
    assert DialogueInputs.parse(text="Hey 😀").text == "Hey 😀"


def test_a_long_name_is_told_by_its_beginning() -> None:
    with pytest.raises(InvalidRequest) as raised:
        DialogueInputs.parse(text="Hey.", **{"n" * 10**5: 1})
    assert raised.value.field == "n" * 60


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as raised:
        DialogueInputs.parse(text="", seed=-1, top_p="0.5", cfg_scale=float("nan"))
    assert {field for field, _ in raised.value.problems} == {"text", "seed", "top_p", "cfg_scale"}
