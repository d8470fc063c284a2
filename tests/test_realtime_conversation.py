"""serving/realtime/conversation.py: what is kept is bounded, and counting it costs the same however much it is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.realtime.audio_formats import PCM
from serving.realtime.conversation import Conversation, Item, Part

SAMPLE = 2  # bytes


def spoken(item_id: str, samples: int, text: str | None = None, role: str = "assistant") -> Item:
    part = Part("output_audio", text, np.zeros(samples, np.int16), PCM)
    return Item(item_id, role=role, parts=[part])


def ids(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation]


def sounding(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation if item.audio is not None]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_what_is_counted_is_what_is_there_whatever_is_done(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, most in (("MOST_ITEMS", 5), ("MOST_AUDIO", 40 * SAMPLE), ("MOST_TEXT", 50)):
            patch.setattr(f"serving.realtime.conversation.{name}", most)
        conversation = Conversation()
        for number in range(data.draw(st.integers(1, 25))):
            there = st.sampled_from(ids(conversation) or ["none"])
            action = data.draw(st.sampled_from(["add", "add", "delete", "truncate", "grow"]))
            if action == "add":
                samples, letters = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 40))
                after = data.draw(st.sampled_from([None, "root", *ids(conversation)]))
                newest = spoken(f"item_{number}", samples, "a" * letters)
                conversation.add(newest, after)
                assert newest.id in ids(conversation)
                assert newest.audio_bytes == samples * SAMPLE
                assert sum(item.audio_bytes for item in conversation) <= max(40, samples) * SAMPLE
                assert len(conversation) <= 5
                assert len(conversation) == 1 or sum(item.letters for item in conversation) <= 50
            elif (item := conversation.get(data.draw(there))) is None:
                continue
            elif action == "delete":
                conversation.delete(item.id)
            elif action == "truncate":
                conversation.truncate(item.id, 0, 0)
            else:  # as a response does at its end, and a transcription
                item.parts[0].text, item.parts[0].samples = "b" * 7, np.zeros(5, np.int16)
                conversation.weigh(item)
            assert conversation._ledger.audio == sum(item.audio_bytes for item in conversation)
            assert conversation._ledger.letters == sum(item.letters for item in conversation)


def test_one_more_item_is_weighed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each one that comes makes an older one go."""
    monkeypatch.setattr("serving.realtime.conversation.MOST_ITEMS", 300)
    monkeypatch.setattr("serving.realtime.conversation.MOST_AUDIO", 100 * SAMPLE)
    weighed: list[str] = []
    letters = Item.letters.fget

    def count(item: Item) -> Any:
        weighed.append(item.id)
        return letters(item)  # type: ignore[misc]

    monkeypatch.setattr(Item, "letters", property(count))
    conversation = Conversation()
    for number in range(1000):
        weighed.clear()
        conversation.add(spoken(f"item_{number}", 1, "a"))
        assert len(weighed) <= 2, number
    assert len(conversation) == 300
    assert sounding(conversation) == [f"item_{number}" for number in range(900, 1000)]


def test_audio_goes_in_the_order_in_which_it_came_and_never_the_newests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.realtime.conversation.MOST_AUDIO", 10 * SAMPLE)
    conversation = Conversation()
    conversation.add(response := Item("response", role="assistant", status="in_progress"))
    conversation.add(spoken("first", 4))
    response.parts.append(spoken("", 4).parts[0])  # its sound is whole later than another's that came after it
    conversation.weigh(response)
    conversation.add(spoken("second", 4), "root")
    assert sounding(conversation) == ["second", "response"]
    conversation.add(spoken("third", 11), "root")
    assert sounding(conversation) == ["third"]


def test_an_item_in_front_of_a_full_conversation_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.realtime.conversation.MOST_ITEMS", 2)
    conversation = Conversation()
    for name in ("a", "b"):
        conversation.add(spoken(name, 1))
    assert conversation.add(spoken("c", 1), "root") is None
    assert ids(conversation) == ["c", "b"]


def test_one_that_is_gone_is_not_weighed_again() -> None:
    conversation = Conversation()
    conversation.add(item := spoken("a", 5, "abc"))
    conversation.delete("a")
    item.parts[0].text = "abcd"
    conversation.weigh(item)
    assert (conversation._ledger.audio, conversation._ledger.letters) == (0, 0)
