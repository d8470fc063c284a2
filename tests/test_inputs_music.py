"""What a caller may ask of music and of sound: ranges, defaults, what does not fit together, and a key nobody sees."""

import pickle
import traceback
from pathlib import Path
from typing import Any

import cog
import pytest

from models.errors import InvalidRequest
from models.inputs import Inputs, MusicInputs, SoundInputs, notes_on
from models.request import INPUT_LIMIT, LOOP_OVERRUN_SECONDS, SEED_LIMIT, AudioGenerationRequest, MusicOptions

RECORDING = Path("recording.wav")
KEY = "correct horse battery staple"
BOTH = [MusicInputs, SoundInputs]


def asked(schema: type[Inputs] = MusicInputs, variation: int = 0, **given: Any) -> AudioGenerationRequest:
    return schema.parse(**{"prompt": "lo-fi piano", **given}).to_request("r", "m", variation=variation)


def refusal(schema: type[Inputs] = MusicInputs, **given: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        schema.parse(**given).to_request("r", "m")
    return raised.value


# --- what is taken -------------------------------------------------------------------------------------------------


def test_a_prompt_alone_is_asked_with_the_published_defaults() -> None:
    request = asked()
    assert request.input == "lo-fi piano"
    assert request.audio_prompt is None
    assert request.music == MusicOptions(duration_seconds=8)
    drawn = request.sampling_params
    assert (drawn.cfg_filter_top_k, drawn.top_p, drawn.temperature, drawn.cfg_scale) == (250, 0, 1, 3)


def test_a_sound_is_5_seconds_long_unless_it_is_said() -> None:
    assert asked(SoundInputs).music.duration_seconds == 5
    assert asked(SoundInputs, duration=2.5).music.duration_seconds == 2.5


def test_every_setting_reaches_the_request() -> None:
    given = {
        "input_audio": RECORDING,
        "duration": 20,
        "continuation": True,
        "continuation_start": 2,
        "continuation_end": 9,
        "multi_band_diffusion": True,
        "top_k": 0,
        "top_p": 0.9,
        "temperature": 0,
        "classifier_free_guidance": -2,
        "seed": 7,
        "melody_audio": Path("melody.flac"),
        "loop": True,
    }
    request = asked(**given)
    assert request.audio_prompt == RECORDING
    assert request.music == MusicOptions(20, True, 2, 9, Path("melody.flac"), multi_band_diffusion=True, loop=True)
    drawn = request.sampling_params
    assert (drawn.cfg_filter_top_k, drawn.top_p, drawn.temperature, drawn.cfg_scale, drawn.seed) == (0, 0.9, 0, -2, 7)


def test_audio_for_a_sound_is_always_gone_on_from() -> None:
    assert asked(SoundInputs, input_audio=RECORDING, continuation_end=3).music == MusicOptions(5, True, 0, 3)
    assert not asked(SoundInputs).music.continuation


@pytest.mark.parametrize("end", [None, -1])
def test_the_end_of_the_file_is_minus_1_or_nothing(end: int | None) -> None:
    """The published container declared a minimum of 0, and so refused the -1 that its description told to send."""
    assert asked(input_audio=RECORDING, continuation_start=3, continuation_end=end).music.continuation_end is None


@pytest.mark.parametrize("prompt", [None, ""])
def test_without_words_a_melody_alone_guides(prompt: str | None) -> None:
    assert asked(prompt=prompt, input_audio=RECORDING).input == ""


def test_an_empty_prompt_alone_is_music_of_no_kind_in_particular() -> None:
    assert asked(prompt="").input == ""


@pytest.mark.parametrize("schema", BOTH)
def test_0_is_a_seed_and_minus_1_and_nothing_are_random(schema: type[Inputs]) -> None:
    """AudioCraft's container took 0 for "random"."""
    assert asked(schema, seed=0).sampling_params.seed == 0
    for seed in (None, -1):
        first, second = (asked(schema, seed=seed).sampling_params.seed for _ in range(2))
        assert first != second
        assert 0 <= first <= SEED_LIMIT


@pytest.mark.parametrize(("seed", "expected"), [(5, [5, 6, 7]), (SEED_LIMIT, [SEED_LIMIT, 0, 1])])
def test_variations_have_seeds_that_follow_each_other(seed: int, expected: list[int]) -> None:
    assert [asked(seed=seed, variation=v).sampling_params.seed for v in range(3)] == expected


@pytest.mark.parametrize("seed", [None, -1])
def test_a_seed_is_drawn_once_for_all_variations(seed: int | None) -> None:
    inputs = MusicInputs.parse(prompt="a", seed=seed).with_seed()
    first, second = (inputs.to_request("r", "m", variation=v).sampling_params.seed for v in range(2))
    assert second == (first + 1) % (SEED_LIMIT + 1)
    assert inputs.with_seed() == inputs
    assert MusicInputs.parse(prompt="a", seed=seed).with_seed() != inputs
    assert MusicInputs.parse(prompt="a", seed=0).with_seed().seed == 0


@pytest.mark.parametrize(
    ("version", "name"),
    [("melody", "musicgen-melody"), ("stereo-large", "musicgen-stereo-large"), ("audiogen-medium", "audiogen-medium")],
)
def test_a_version_is_the_name_of_a_checkpoint(version: str, name: str) -> None:
    assert MusicInputs.parse(prompt="a", model_version=version).model_name == name


def test_what_needs_no_melody_is_taken_by_every_version() -> None:
    given = {"input_audio": RECORDING, "continuation": True, "multi_band_diffusion": True}
    assert asked(model_version="stereo-large", **given).music.continuation
    assert asked(model_version="stereo-melody", input_audio=RECORDING).audio_prompt == RECORDING


def test_sounds_have_one_checkpoint() -> None:
    assert SoundInputs.parse(prompt="rain").model_name == "audiogen-medium"


@pytest.mark.parametrize(("duration", "overrun"), [(30, LOOP_OVERRUN_SECONDS), (1, 0.5)])
def test_a_loop_is_made_longer_by_what_is_folded_back(duration: int, overrun: float) -> None:
    assert asked(duration=duration, loop=True).music.total_seconds == duration + overrun
    assert asked(duration=duration).music.total_seconds == duration


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", BOTH)
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("duration", 0, "between 1 and 300"),
        ("duration", 301, "between 1 and 300"),
        ("duration", "8", "not str"),
        ("duration", True, "not bool"),
        ("duration", float("nan"), ""),
        ("continuation_start", -1, "between 0 and 600"),
        ("continuation_end", -2, "between -1 and 600"),
        ("normalization_strategy", "louder", "'rms'"),
        ("top_k", -1, "between 0 and 2048"),
        ("top_k", 2049, "between 0 and 2048"),
        ("top_p", 1.1, "between 0 and 1"),
        ("temperature", -0.1, "between 0 and 100"),
        ("temperature", float("inf"), "finite number between 0 and 100"),
        ("classifier_free_guidance", 3.5, "a whole number"),
        ("output_format", "opus", "'flac' or 'ogg'"),
        ("seed", -2, "between -1 and 4294967295"),
        ("loop", 1, "true or false"),
        ("loop", "yes", "true or false"),
        ("count", 11, "between 1 and 10"),
        ("input_audio", "/etc/hostname", "URL"),
        ("volume", 11, "is no input of this model"),
        ("prompt", 5, "must be a string"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_limits(
    schema: type[Inputs], field: str, value: Any, said: str
) -> None:
    error = refusal(schema, **{"prompt": "a", field: value})
    assert error.field == field
    assert said in error.problem


def test_a_duration_for_music_is_a_whole_number() -> None:
    assert refusal(prompt="a", duration=1.5).field == "duration"
    assert asked(duration=8.0).music.duration_seconds == 8  # as Cog hands 8.0 on


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "prompt"),
        ({"prompt": "a" * (INPUT_LIMIT + 1)}, "prompt"),
        ({"prompt": "a", "continuation": True}, "input_audio"),
        ({"prompt": "a", "continuation_start": 2}, "continuation_start"),
        ({"prompt": "a", "continuation_end": 2}, "continuation_end"),
        ({"prompt": "a", "continuation_end": 0}, "continuation_end"),
        ({"input_audio": RECORDING, "continuation_start": 5, "continuation_end": 5}, "continuation_start"),
        ({"input_audio": RECORDING, "continuation_start": 0, "continuation_end": 0}, "continuation_start"),
        ({"prompt": "a", "melody_audio": RECORDING}, "melody_audio"),
        ({"input_audio": RECORDING, "melody_audio": RECORDING}, "melody_audio"),
        ({"input_audio": RECORDING, "model_version": "large"}, "input_audio"),
        ({"input_audio": RECORDING, "model_version": "audiogen-medium"}, "input_audio"),
        (
            {
                "input_audio": RECORDING,
                "continuation": True,
                "melody_audio": RECORDING,
                "model_version": "stereo-large",
            },
            "melody_audio",
        ),
        ({"prompt": "a", "multi_band_diffusion": True, "model_version": "audiogen-medium"}, "multi_band_diffusion"),
        ({"prompt": "a", "song_id": 1}, "key"),
        ({"prompt": "a", "key": KEY}, "song_id"),
    ],
)
def test_inputs_that_do_not_fit_each_other_are_refused_by_name(given: dict[str, Any], field: str) -> None:
    assert refusal(**given).field == field


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a" * (INPUT_LIMIT + 1)}, "prompt"),
        ({"prompt": "a", "continuation_start": 2}, "continuation_start"),
        ({"prompt": "a", "song_id": 1}, "song_id"),
    ],
)
def test_a_sound_refuses_what_does_not_fit(given: dict[str, Any], field: str) -> None:
    assert refusal(SoundInputs, **given).field == field


def test_the_way_out_of_a_melody_that_cannot_be_followed_fits_its_field() -> None:
    given = {"input_audio": RECORDING, "model_version": "large"}
    assert refusal(**given).problem.endswith("in its name, or set continuation to true to go on from it.")
    given |= {"continuation": True, "melody_audio": RECORDING}
    assert refusal(**given).problem.endswith("Choose a model with melody in its name, or leave it out.")


# --- what should be known ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", BOTH)
def test_another_model_and_a_gap_between_repeats_are_told(schema: type[Any]) -> None:
    asked_for = schema.parse(prompt="a", loop=True)
    assert notes_on(asked_for, asked_for.model_name) == (
        "players leave a gap between repeats of an mp3; wav, flac and ogg have none",
    )
    other = schema.parse(prompt="a", loop=True, output_format="wav")
    assert notes_on(other, "my-tune") == (f"my-tune plays here, though {other.model_name} was asked for",)
    assert notes_on(schema.parse(prompt="a"), asked_for.model_name) == ()


@pytest.mark.parametrize("schema", BOTH)
def test_candidates_that_say_nothing_are_told(schema: type[Any]) -> None:
    def notes(**given: Any) -> tuple[str, ...]:
        asked_for = schema.parse(prompt="a", **given)
        return notes_on(asked_for, asked_for.model_name)

    assert notes(top_k=15, top_p=0.9) == (
        "top_p is 0.9, which takes the place of top_k: 15 says nothing but with top_p 0",
    )
    for given in ({"top_p": 0.9}, {"top_k": 15}, {"top_k": 0, "top_p": 0.9}):
        assert notes(**given) == ()


@pytest.mark.parametrize(("given", "told"), [({"count": 3, "temperature": 0}, 1), ({"count": 3}, 0), ({}, 0)])
def test_variations_that_cannot_vary_are_told(given: dict[str, Any], told: int) -> None:
    asked_for = MusicInputs.parse(prompt="a", **given)
    notes = notes_on(asked_for, asked_for.model_name)
    assert notes == ("temperature is 0, so nothing is drawn, and all 3 variations have the same codes",)[:told]


# --- the key -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, cog.Secret(KEY)], ids=["text", "cog"])
def test_the_key_is_readable_on_purpose_only(key: Any) -> None:
    inputs = MusicInputs.parse(prompt="a", song_id=1, key=key)
    assert inputs.key is not None
    assert inputs.key.get_secret_value() == KEY
    written = [str(inputs), repr(inputs), repr(inputs.model_dump()), inputs.model_dump_json()]
    assert not any(KEY in text for text in written)


def test_the_key_goes_into_no_request() -> None:
    request = MusicInputs.parse(prompt="a", song_id=1, key=KEY).to_request("r", "m")
    assert KEY.encode() not in pickle.dumps(request)


@pytest.mark.parametrize("key", [[KEY], {KEY: 1}, KEY.encode() + b"\xff", f"{KEY}\ud800", Path(KEY)])
@pytest.mark.parametrize("seed", [1, -5])
def test_a_key_that_cannot_be_read_is_not_repeated_by_its_refusal(key: Any, seed: int) -> None:
    error = refusal(prompt="a", song_id=1, key=key, seed=seed)
    assert "key" in dict(error.problems)
    assert KEY not in "".join(traceback.format_exception(error))


def test_a_mistake_elsewhere_does_not_show_the_key() -> None:
    error = refusal(song_id=1, key=KEY, prompt=5, duration=0, nothing=3)
    assert {field for field, _ in error.problems} == {"prompt", "duration", "nothing"}
    assert KEY not in "".join(traceback.format_exception(error))
