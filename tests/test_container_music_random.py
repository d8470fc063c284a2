"""Every field of music over Cog's real server and the whole of MusicGen, with random weights: what each one changes.

Random weights make noise, but they hear as trained ones do: the text, the melody and the beginning all reach them. Wave
files that are only cut, at −1 dB, are compared sample by sample.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from music_server_fixtures import REFERENCE, ROOT, failed, recording, samples_of, succeeded

from container.client import CogClient
from container.server import CogServer

RATE = 32_000
PLAIN = {"prompt": "slow piano", "duration": 1, "seed": 5, "output_format": "wav", "normalization_strategy": "clip"}
BEGINNING = {**PLAIN, "duration": 3, "input_audio": recording(2.0), "continuation": True}
STEP = 1 / 32768  # of a 16-bit file


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogClient]:
    weights = str(tmp_path_factory.mktemp("weights"))
    environ = {"PARLEY_MUSIC_MODEL": "musicgen-random", "PARLEY_WEIGHTS_DIR": weights, "OMP_NUM_THREADS": "1"}
    with CogServer(REFERENCE, ROOT, {**environ, "PARLEY_DEVICE": "cpu", "PARLEY_WEIGHTS": "float32"}) as running:
        yield running.client


def answer(client: CogClient, **given: object) -> dict:
    return succeeded(client.predict({**PLAIN, **given}))["output"]


def played(client: CogClient, **given: object) -> np.ndarray:
    """[L] of a mono song."""
    samples = samples_of(answer(client, **given))
    assert samples.shape[0] == 1
    return samples[0]


def in_stereo(client: CogClient, **given: object) -> np.ndarray:
    """[2, L] of a song by the stereo model."""
    made = answer(client, model_version="stereo-melody", **given)
    assert made["model"] == "musicgen-stereo-random"
    samples = samples_of(made)
    assert samples.shape[0] == 2
    return samples


@pytest.fixture(scope="module")
def plain(client: CogClient) -> np.ndarray:
    return played(client)


@pytest.fixture(scope="module")
def stereo(client: CogClient) -> np.ndarray:
    return in_stereo(client)


@pytest.fixture(scope="module")
def continued(client: CogClient) -> np.ndarray:
    return played(client, **BEGINNING)


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and float(np.abs(first - second).max()) <= STEP


def seconds(audio: np.ndarray, start: float, end: float) -> np.ndarray:
    return audio[..., int(start * RATE) : int(end * RATE)]


def test_a_song_says_that_its_weights_are_random(client: CogClient) -> None:
    made = answer(client)
    assert (made["model"], made["sample_rate"], made["seed"], made["duration"]) == ("musicgen-random", RATE, 5, 1.0)


def test_what_plays_for_every_version_is_loaded_once_and_says_so_each_time(client: CogClient) -> None:
    answer(client)
    logs = succeeded(client.predict({**PLAIN, "model_version": "large"}))["logs"]
    assert "note: musicgen-random plays here, though musicgen-large was asked for" in logs
    assert "Using musicgen-random" not in logs


def test_the_same_inputs_give_the_same_samples(client: CogClient, plain: np.ndarray) -> None:
    assert plain.shape == (RATE,)
    assert np.abs(plain).max() > 0.01
    assert same(played(client), plain)


@pytest.mark.parametrize(
    "given",
    [
        {"seed": 6},
        {"prompt": "fast drums"},
        {"prompt": ""},
        {"top_k": 5},
        {"top_p": 0.3},
        {"temperature": 0},
        {"classifier_free_guidance": -4},
        {"multi_band_diffusion": True},
        {"input_audio": recording()},
    ],
    ids=lambda given: next(iter(given)),
)
def test_every_setting_changes_what_is_played(client: CogClient, plain: np.ndarray, given: dict) -> None:
    other = played(client, **given)
    assert other.shape == plain.shape
    assert not same(other, plain)


def test_top_p_is_in_the_place_of_top_k(client: CogClient) -> None:
    assert same(played(client, top_p=0.3, top_k=5), played(client, top_p=0.3, top_k=0))


def test_greedy_and_one_candidate_are_the_same_and_need_no_seed(client: CogClient) -> None:
    assert same(played(client, temperature=0, seed=1), played(client, top_k=1, seed=2))


def test_a_variation_is_what_its_seed_gives_alone(client: CogClient) -> None:
    second = answer(client, count=2)["variations"][0]
    assert second["seed"] == 6
    assert same(samples_of(second)[0], played(client, seed=6))


def test_a_continuation_begins_with_the_recording_whatever_comes_after(
    client: CogClient, continued: np.ndarray
) -> None:
    other = played(client, **{**BEGINNING, "prompt": "fast drums", "seed": 9})
    assert same(seconds(other, 0, 1.9), seconds(continued, 0, 1.9))  # the codec looks ahead a little
    assert not same(seconds(other, 2.1, 3), seconds(continued, 2.1, 3))


def test_a_part_of_the_recording_is_as_long_as_it_was_asked(client: CogClient, continued: np.ndarray) -> None:
    part = {**BEGINNING, "continuation_start": 1, "continuation_end": 2}
    first, other = played(client, **part), played(client, **{**part, "seed": 9})
    assert same(seconds(first, 0, 0.9), seconds(other, 0, 0.9))
    assert not same(seconds(first, 1.1, 1.9), seconds(other, 1.1, 1.9))
    assert same(played(client, **{**BEGINNING, "continuation_end": -1}), continued)


def test_an_end_beyond_the_file_is_its_end_and_is_said(client: CogClient, continued: np.ndarray) -> None:
    prediction = succeeded(client.predict({**BEGINNING, "continuation_end": 5}))
    assert same(samples_of(prediction["output"])[0], continued)
    assert "note: continuation_end is 5, but input_audio lasts 2.00 s" in prediction["logs"]


def test_a_melody_beside_a_continuation_leaves_its_beginning_as_it_is(client: CogClient, continued: np.ndarray) -> None:
    both = played(client, **{**BEGINNING, "melody_audio": recording(1.0)})
    assert same(seconds(both, 0, 1.9), seconds(continued, 0, 1.9))
    assert not same(seconds(both, 2.1, 3), seconds(continued, 2.1, 3))


def test_a_stereo_recording_is_taken(client: CogClient) -> None:
    assert played(client, **{**BEGINNING, "input_audio": recording(2.0, channels=2)}).shape == (3 * RATE,)


def test_a_loop_is_the_song_but_for_its_beginning(client: CogClient, plain: np.ndarray) -> None:
    loop = played(client, loop=True)
    assert loop.shape == plain.shape
    assert not same(seconds(loop, 0, 0.5), seconds(plain, 0, 0.5))
    assert same(seconds(loop, 0.5, 0.9), seconds(plain, 0.5, 0.9))


@pytest.mark.parametrize("output_format", ["mp3", "wav", "flac", "ogg"])
def test_stereo_has_two_sides_in_every_format(client: CogClient, stereo: np.ndarray, output_format: str) -> None:
    made = in_stereo(client, output_format=output_format)
    assert made.shape == stereo.shape == (2, RATE)
    assert np.abs(stereo[0] - stereo[1]).mean() > 0.01
    for side in (0, 1):  # lossy formats keep the sides apart too
        likeness = [np.corrcoef(made[side], other)[0, 1] for other in stereo]
        assert likeness[side] > 0.9
        assert likeness[1 - side] < 0.5


def test_a_loop_in_stereo_is_the_song_but_for_its_beginning(client: CogClient, stereo: np.ndarray) -> None:
    loop = in_stereo(client, loop=True)
    assert loop.shape == stereo.shape
    # In its last frames a song's codes hear that they are: the later codebooks have the end beside them by then.
    assert same(seconds(loop, 0.5, 0.85), seconds(stereo, 0.5, 0.85))
    assert all(not same(seconds(loop[side], 0, 0.5), seconds(stereo[side], 0, 0.5)) for side in (0, 1))


def test_stereo_goes_on_from_both_sides_and_from_one(client: CogClient) -> None:
    """A mono recording is heard on both sides; what comes after is of two."""
    both, one = (in_stereo(client, **{**BEGINNING, "input_audio": recording(2.0, sides)}) for sides in (2, 1))
    assert both.shape == one.shape == (2, 3 * RATE)
    assert same(seconds(both[0], 0, 1.9), seconds(one[0], 0, 1.9))  # the left sides are the same
    assert same(seconds(one[0], 0, 1.9), seconds(one[1], 0, 1.9))
    assert not same(seconds(both[0], 0, 1.9), seconds(both[1], 0, 1.9))
    assert not same(seconds(one[0], 2.1, 3), seconds(one[1], 2.1, 3))


@pytest.mark.parametrize(
    "given",
    [{"multi_band_diffusion": True}, {"input_audio": recording(1.0)}, {"input_audio": recording(1.0, 2), "count": 2}],
    ids=["diffused", "melody", "melody of two sides"],
)
def test_stereo_is_diffused_and_follows_a_melody(client: CogClient, stereo: np.ndarray, given: dict) -> None:
    other = in_stereo(client, **given)
    assert other.shape == stereo.shape
    assert not same(other, stereo)


def test_sounds_are_played_by_the_other_model(client: CogClient) -> None:
    made = answer(client, model_version="audiogen-medium")
    assert (made["model"], made["sample_rate"]) == ("audiogen-random", 16_000)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**BEGINNING, "duration": 2}, "input_audio: has a part to go on from of 2 s"),
        ({**BEGINNING, "continuation_start": 2}, "continuation_start: "),
        (
            {"input_audio": recording(31.0), "continuation": True, "duration": 40},
            "input_audio: has a part to go on from of 31 s; musicgen-random sees 30 s at once",
        ),
        ({"input_audio": recording(601.0, rate=4000)}, "input_audio: is longer than 600 seconds"),
        ({"input_audio": recording(0.0)}, "input_audio: holds no sample"),
        ({"input_audio": recording(1.0, level=0.0)}, "input_audio: is silent"),
        ({**BEGINNING, "melody_audio": recording(1.0, level=0.0)}, "melody_audio: is silent"),
        ({"prompt": "a" * 600}, "prompt: has 601 tokens; the text encoder reads at most 512"),
        ({"input_audio": "data:audio/wav;base64,AAAA"}, "input_audio: "),
    ],
)
def test_what_only_the_recording_tells_is_refused_by_name(client: CogClient, given: dict, said: str) -> None:
    failed(client.predict({**PLAIN, **given}), said)


@pytest.mark.parametrize("given", [{"count": 3}, {"multi_band_diffusion": True, "model_version": "stereo-melody"}])
def test_what_plays_is_cancelled_and_leaves_nothing_behind(client: CogClient, plain: np.ndarray, given: dict) -> None:
    answer(client, **given)  # what it needs is loaded
    assert client.start({**PLAIN, "duration": 300, **given}, "cancelled").status == 202
    assert client.cancel_and_wait("cancelled", 20)
    assert same(played(client), plain)
