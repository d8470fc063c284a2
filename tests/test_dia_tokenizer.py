"""models/dia/tokenizer.py: bytes and speaker tags, against transformers' DiaTokenizer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dia.tokenizer import END, TEXT_LIMIT, byte_length, check_ids, decode, encode
from models.errors import InvalidRequest

readable = st.text(st.characters(exclude_characters="\x00\x01\x02", exclude_categories=["Cs"]), min_size=1, max_size=60)


def test_tags_become_ids_1_and_2_and_the_rest_is_bytes():
    assert encode("[S1] Hé [S2]!") == [1, 32, 72, 0xC3, 0xA9, 32, 2, 33]


def test_a_tag_the_model_lacks_is_spelled_out():
    assert encode("[S3]") == [91, 83, 51, 93]


@pytest.mark.parametrize("text", ["[S1] Dia speaks. [S2] (laughs) Does it?", "[S2]naïve — [S1]日本", "no tag"])
def test_ids_equal_those_of_transformers(text):
    from transformers import DiaTokenizer

    assert encode(text) == DiaTokenizer()(text, add_special_tokens=False)["input_ids"]


@settings(deadline=None)
@given(readable)
def test_decode_inverts_encode(text):
    assert decode(encode(text)) == text


@settings(deadline=None)
@given(st.lists(st.sampled_from(["[S1]", "[S2]", "[S", "1]", "é", "😀", "word ", " "]), min_size=1))
def test_byte_length_counts_what_encode_gives(parts):
    text = "".join(parts)
    assert byte_length(text) == len(encode(text))


def test_decode_shows_broken_utf8_instead_of_failing():
    assert decode([1, 0xC3]) == "[S1]\ufffd"


def test_exactly_the_limit_is_read_and_one_byte_more_is_refused_with_both_numbers():
    text = "[S1]" + "x" * (TEXT_LIMIT - 1)
    assert len(encode(text)) == TEXT_LIMIT
    with pytest.raises(InvalidRequest, match=r"prompt: is 1025 bytes long.* at most 1024"):
        encode(text + "x", field="prompt")


@pytest.mark.parametrize("byte", [0, 1, 2])
def test_a_control_byte_is_refused_where_upstream_would_hear_a_speaker(byte):
    with pytest.raises(InvalidRequest, match=f"text: holds the control byte {byte} at position 3"):
        encode(f"abc{chr(byte)}def")


def test_half_a_surrogate_pair_is_the_callers_mistake():
    with pytest.raises(InvalidRequest, match="surrogate pair at position 2"):
        encode("hi\ud83d")


def test_empty_text_is_refused():
    with pytest.raises(InvalidRequest, match="is empty"):
        encode("")


def test_ids_of_a_caller_are_kept():
    assert check_ids((1, 7, 255)) == [1, 7, 255]
    assert check_ids(encode("[S1] Hi.")) == encode("[S1] Hi.")


@pytest.mark.parametrize("value", [-1, 0, 256])
def test_a_bad_id_is_named_with_its_index(value):
    with pytest.raises(InvalidRequest, match=f"prompt: holds {value} at index 2"):
        check_ids([1, 72, value])


@pytest.mark.parametrize("count", [0, TEXT_LIMIT + 1])
def test_too_few_and_too_many_ids_are_refused(count):
    with pytest.raises(InvalidRequest, match=f"ids: holds {count} ids"):
        check_ids([65] * count, field="ids")


def test_an_end_mark_follows_where_the_model_was_trained_with_it_and_counts() -> None:
    assert encode("[S1] Yes.", end_mark=True) == [*encode("[S1] Yes."), END]
    longest = "a" * (TEXT_LIMIT - 1)
    assert len(encode(longest, end_mark=True)) == TEXT_LIMIT
    with pytest.raises(InvalidRequest, match=f"{TEXT_LIMIT + 1} bytes"):
        encode(longest + "a", end_mark=True)
