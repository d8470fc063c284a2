"""A request → what will be spoken, passage by passage, or the reason why not. No model work happens here.

Dia speaks naturally for 5 to 20 s at a time and sees 3072 rows and 1024 bytes, voice prompt included. A longer script
is cut at turns into passages that keep both speakers; each carries on the voice of the one before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from models.dia.script import Passage, Script, estimate_seconds, parse_script, plan_passages
from models.dia.tokenizer import TEXT_LIMIT, byte_length, check_ids, decode, encode
from models.dia.voice import Voice
from models.errors import InvalidRequest
from models.request import AudioGenerationRequest, SamplingParams

LONGEST_SECONDS = 18.0  # of a passage; beyond about 20 s Dia hurries
ROOM = 1.4  # a passage may take this many times its estimated length before the window cuts it
OVERRUN = 1.25  # a script estimated this much longer than max_new_tokens allows cannot be spoken whole


@dataclass(frozen=True)
class Utterance:
    """One passage as the model gets it, without the transcript of its voice prompt."""

    text: str
    seconds: float  # estimated
    ids: tuple[int, ...] | None = None  # the caller's own prompt, which replaces all built text


@dataclass(frozen=True, eq=False)
class Plan:
    """A request that can be spoken."""

    request: AudioGenerationRequest
    utterances: tuple[Utterance, ...]
    voice: Voice | None
    buffer: np.ndarray | None  # [K, N] codes that the first sample continues
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return sum(u.seconds for u in self.utterances)


def make_plan(
    request: AudioGenerationRequest,
    voice: Voice | None,
    buffer: np.ndarray | None,
    window_frames: int,
    frame_rate: float,
    *,
    plain_text: bool = False,
    text_limit: int = TEXT_LIMIT,
) -> Plan:
    """plain_text: the model reads plain words only, and the limits hold for these. text_limit: bytes of a text.

    Raises InvalidRequest where the text cannot be spoken within the model's or the caller's limits."""
    check_sampling(request.sampling_params)
    voice_notes = voice.notes if voice else ()
    if request.prompt is not None:
        plan = Plan(request, (_own_prompt(request, voice),), voice, buffer, voice_notes)
        _check_length(plan, frame_rate, "prompt", window_frames)
        return plan
    assert request.input is not None
    script = parse_script(request.input, plain=plain_text)
    window_seconds = window_frames / frame_rate
    if voice is None:
        passages = _alone(script, window_seconds, text_limit)
    else:
        max_bytes = text_limit - byte_length(voice.transcript) - 1
        passages = _plan(script, max_bytes, min(LONGEST_SECONDS, (window_seconds - voice.seconds) / ROOM))
    utterances = tuple(Utterance(p.text, p.seconds) for p in passages)
    plan = Plan(request, utterances, voice, buffer, script.notes + voice_notes)
    _check_length(plan, frame_rate, "text")
    return plan


def check_sampling(sampling: SamplingParams) -> None:
    """The ranges that the sampler can honour; doors are stricter. Raises InvalidRequest."""
    rules: tuple[tuple[str, Callable[[SamplingParams], bool], str], ...] = (
        ("max_new_tokens", lambda s: 1 <= s.max_new_tokens <= 2**20, "1 and 1048576"),
        ("cfg_scale", lambda s: 0 <= s.cfg_scale <= 20, "0 and 20"),
        ("temperature", lambda s: 0 <= s.temperature <= 10, "0 and 10"),
        ("top_p", lambda s: 0 < s.top_p <= 1, "0 (exclusive) and 1"),
        ("cfg_filter_top_k", lambda s: 1 <= s.cfg_filter_top_k <= 100, "1 and 100"),
        ("seed", lambda s: 0 <= s.seed < 2**32, "0 and 4294967295"),
    )
    for field in ("max_new_tokens", "cfg_filter_top_k", "seed"):
        if not isinstance(value := getattr(sampling, field), Integral):
            raise InvalidRequest(field, f"is {value!r}; it must be a whole number.")
    for field, fits, limits in rules:
        if not fits(sampling):
            raise InvalidRequest(field, f"is {getattr(sampling, field)}; it must lie between {limits}.")


def _own_prompt(request: AudioGenerationRequest, voice: Voice | None) -> Utterance:
    prompt = request.prompt
    ids = encode(prompt, field="prompt") if isinstance(prompt, str) else check_ids(prompt or ())
    spoken = estimate_seconds(decode(ids)) - (voice.seconds if voice else 0)
    return Utterance("", max(1.0, spoken), tuple(ids))


def _alone(script: Script, window_seconds: float, text_limit: int) -> tuple[Passage, ...]:
    """Passages of a script without a voice prompt: one, or several of which each is the next one's prompt."""
    whole = _plan(script, text_limit, min(LONGEST_SECONDS, window_seconds / ROOM))
    if len(whole) == 1:
        return whole
    return _plan(script, (text_limit - 1) // 2, min(LONGEST_SECONDS, window_seconds / 2 / ROOM))


def _plan(script: Script, max_bytes: int, max_seconds: float) -> tuple[Passage, ...]:
    return plan_passages(script, max_bytes=max_bytes, max_seconds=max_seconds, min_seconds=min(5.0, max_seconds / 2))


def _check_length(plan: Plan, frame_rate: float, field: str, window_frames: int = 2**62) -> None:
    """Refuse what could only be cut: text that takes clearly longer than the caller or the window allows."""
    allowed = min(plan.request.sampling_params.max_new_tokens, window_frames)
    limit = "max_new_tokens" if allowed < window_frames else "the model's window, for a prompt of one's own,"
    needed = round(plan.seconds * frame_rate)
    if needed > OVERRUN * allowed:
        part = max(1, len(plan.request.input or plan.request.prompt or "") * allowed // needed)
        raise InvalidRequest(
            field,
            f"takes about {plan.seconds:.0f} s to speak, which is {needed} tokens; {limit} allows {allowed} "
            f"({allowed / frame_rate:.1f} s). Allow more, or send the text in parts of about {part} characters.",
        )
