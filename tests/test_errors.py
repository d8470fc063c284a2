"""Errors travel between processes and threads as they are."""

import pickle

import pytest

from models.errors import InvalidRequest, MissingInput, ParleyError, UnreadableAudio


@pytest.mark.parametrize("kind", [InvalidRequest, MissingInput, UnreadableAudio])
def test_a_mistake_is_the_same_after_pickling(kind: type[InvalidRequest]) -> None:
    error = kind("text", "is empty.", (("seed", "is odd."),))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.problems, again.status) == (str(error), error.problems, error.status)
    assert isinstance(again, ParleyError)
