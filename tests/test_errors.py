"""Errors travel between processes and threads as they are, and hold all that is wrong with a request."""

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


def test_one_error_tells_of_all_that_is_wrong() -> None:
    """As rows keep it, in lists, and as doors find it, in tuples."""
    for problems in ([["text", "is empty."], ["seed", "is odd."]], (("text", "is empty."), ("seed", "is odd."))):
        error = InvalidRequest.of(problems)
        assert error.problems == (("text", "is empty."), ("seed", "is odd."))
        assert str(error) == "text: is empty.; seed: is odd."
    assert InvalidRequest.of([("text", "is empty.")]).others == ()
