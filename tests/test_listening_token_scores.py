"""models/listening/token_scores.py: the log probabilities are those of the decoder, token for token."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from listening_fixtures import Clip

from models.listening.token_scores import Token, TokenScores
from models.listening.transcribe import SAMPLE_RATE, Transcriber, is_installed
from models.listening.whisper import whisper_folder

END = 100  # of the ids of text, in the stand-ins


@pytest.fixture(scope="module")
def speech(clip: Clip) -> np.ndarray:
    """A sentence and a half, in a window of its own."""
    if not is_installed():
        pytest.skip("no transcriber is installed: pip install -r requirements.txt")
    return clip.samples[round(12.5 * SAMPLE_RATE) : round(17 * SAMPLE_RATE)]


def test_tokens_are_the_words_of_their_segment_and_change_none_of_them(speech: np.ndarray) -> None:
    transcriber = Transcriber(threads=1)
    plain, scored = (list(transcriber.transcribe(speech, "en", with_tokens=wanted)) for wanted in (False, True))
    assert plain
    assert [(one.text, one.start, one.end) for one in plain] == [(one.text, one.start, one.end) for one in scored]
    for one in scored:
        assert one.tokens is not None
        assert b"".join(token.data for token in one.tokens).decode().strip() == one.text
        assert all(token.logprob <= 0 for token in one.tokens)
    assert all(one.tokens is None for one in plain)


def test_they_are_what_the_decoder_had_when_it_wrote_them(speech: np.ndarray) -> None:
    """Where each token is the likeliest, CTranslate2 tells the logits of every step: an account of its own."""
    faster_whisper = pytest.importorskip("faster_whisper")
    model = faster_whisper.WhisperModel(str(whisper_folder()), device="cpu", compute_type="float32", cpu_threads=1)
    free: dict[str, Any] = {
        "language": "en", "beam_size": 1, "temperature": 0.0, "without_timestamps": True, "suppress_blank": False,
        "suppress_tokens": [], "hotwords": "Diane, Yankee",
    }  # fmt: skip
    scores = TokenScores(model)
    heard, _ = scores.model.transcribe(speech, **free)
    (segment,) = list(heard)
    found = [token.logprob for token in scores.of(segment.tokens)]
    steps = []

    def with_logits(encoded: Any, prompts: Any, **options: Any) -> Any:
        results = generate(encoded, prompts, return_logits_vocab=True, **options)
        steps.extend(np.array(step) for step in results[0].logits[0])
        return results

    generate = model.model.generate
    telling = {"generate": with_logits, "encode": model.model.encode}
    model.model = SimpleNamespace(device="cpu", is_multilingual=True, **telling)
    (again,) = list(model.transcribe(speech, **free)[0])
    assert again.tokens == segment.tokens
    assert len(found) > 5
    end_of_text = model.hf_tokenizer.token_to_id("<|endoftext|>")
    logits = np.stack(steps)[: len(found), :end_of_text].astype(np.float64)  # of text, as `align` has them
    chosen = logits[np.arange(len(found)), again.tokens] - np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(found, chosen, atol=1e-3)


# With a stand-in for the model: what is written in a window, and how likely each token is


class Writer:
    """Writes `ids` and finds the token n as likely as 1 / n, a token 0 impossible."""

    def __init__(self, *ids: int) -> None:
        self.ids = list(ids)
        self.read: list[list[int]] = []
        self.model = SimpleNamespace(align=self._align)
        self.hf_tokenizer = SimpleNamespace(id_to_token=lambda one: {1: "Ġa", 2: "é", 3: "âĤ", 4: "¬"}.get(one, "b"))

    def generate_with_fallback(self, encoded: Any, prompt: list[int], tokenizer: Any, options: Any) -> Any:
        return SimpleNamespace(sequences_ids=[self.ids]), -0.1, 0.0, 1.0

    def _align(self, encoded: Any, prompt: list[int], texts: list[list[int]], frames: int) -> Any:
        self.read += texts
        return [SimpleNamespace(text_token_probs=[1 / one if one else 0.0 for one in text]) for text in texts]


def window(writer: Writer) -> TokenScores:
    scores = TokenScores(writer)  # type: ignore[arg-type]
    scores.model.generate_with_fallback(None, [7], SimpleNamespace(eot=END, no_timestamps=104), None)  # type: ignore[arg-type]
    return scores


def test_segments_that_say_the_same_have_scores_of_their_own() -> None:
    writer = Writer(100, 5, 6, 101, 101, 9, 102, 102, 5, 6, 103)
    scores = window(writer)
    said = [scores.of(ids) for ids in ([100, 5, 6, 101], [102, 5, 6, 103])]
    assert [[round(np.exp(-token.logprob)) for token in tokens] for tokens in said] == [[5, 6], [5, 6]]
    assert writer.read == [[5, 6, 9, 5, 6]]  # once, and without timestamps


def test_a_window_nobody_asks_about_is_not_read_again() -> None:
    writer = Writer(100, 5, 101)
    window(writer)
    assert writer.read == []


def test_bytes_are_those_of_the_vocabulary_and_half_a_character_is_told() -> None:
    tokens = window(Writer(1, 2, 3, 4)).of([1, 2, 3, 4])
    assert [token.data for token in tokens] == [b" a", b"\xe9", b"\xe2\x82", b"\xac"]
    assert b"".join(token.data for token in tokens[2:]).decode() == "€"
    assert (tokens[0].text, tokens[2].text) == (" a", "\ufffd")


def test_what_is_next_to_impossible_has_a_number_that_json_knows() -> None:
    (token,) = window(Writer(0)).of([0])
    assert -1000 < token.logprob < -100


def test_certainty_is_zero_also_where_it_is_rounded_up() -> None:
    writer = Writer(5)
    writer.model.align = lambda *given: [SimpleNamespace(text_token_probs=[1.0000001])]
    assert window(writer).of([5]) == (Token(b"b", 0.0),)
