"""Errors travel between processes and threads as they are, and hold all that is wrong with a request."""

import copy
import pickle
from collections.abc import Callable

import pytest

from models.errors import InvalidRequest, MissingInput, ParleyError, UnreadableAudio, printable


@pytest.mark.parametrize("kind", [InvalidRequest, MissingInput, UnreadableAudio])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_mistake_is_the_same_after_copying_and_pickling(
    kind: type[InvalidRequest], copied: Callable[[InvalidRequest], InvalidRequest]
) -> None:
    error = kind("text", "is empty.", (("seed", "is odd."),))
    again = copied(error)
    assert type(again) is kind
    assert (str(again), again.problems, again.status) == (str(error), error.problems, error.status)
    assert isinstance(again, ParleyError)


def test_a_mistake_is_told_by_the_names_that_its_caller_knows() -> None:
    error = UnreadableAudio("audio_prompt", "is empty.", (("seed", "is odd."),)).renamed({"audio_prompt": "voice"})
    assert type(error) is UnreadableAudio
    assert str(error) == "voice: is empty.; seed: is odd."


def test_one_error_tells_of_all_that_is_wrong() -> None:
    """As rows keep it, in lists, and as doors find it, in tuples."""
    for problems in ([["text", "is empty."], ["seed", "is odd."]], (("text", "is empty."), ("seed", "is odd."))):
        error = InvalidRequest.of(problems)
        assert error.problems == (("text", "is empty."), ("seed", "is odd."))
        assert str(error) == "text: is empty.; seed: is odd."
    assert InvalidRequest.of([("text", "is empty.")]).others == ()


@pytest.mark.parametrize(("name", "shown"), [("seed", "seed"), ("a\ud800", "a\\ud800"), ("a" * 99, "a" * 60)])
def test_a_name_is_told_so_that_every_answer_can_hold_it(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert shown.encode()
