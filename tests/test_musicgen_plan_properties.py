"""Whatever may be asked of music together is planned as long as it was asked, or refused by the name of an input."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidRequest
from models.inputs import ModelVersion, MusicInputs
from models.musicgen.config import CHROMA_LENGTH, MusicgenConfig, interleaved_delays
from models.musicgen.plan import Plan, make_plan

RECORDINGS = {  # seconds, Hz, channels, level
    "one sample": (1 / 8000, 8_000, 1, 0.5),
    "short": (0.3, 44_100, 2, 0.5),
    "two seconds": (2.0, 16_000, 1, 0.3),
    "silence": (2.5, 22_050, 1, 0.0),
    "of six channels": (12.0, 8_000, 6, 0.3),
    "longer than a window": (31.0, 8_000, 1, 0.3),
}

recording = st.sampled_from([*RECORDINGS])
part = {
    "continuation_start": st.sampled_from([0, 0, 0, 1, 30, 600]),
    "continuation_end": st.sampled_from([None, None, -1, 0, 1, 2, 600]),
}
audio = st.one_of(  # nothing, a melody, a beginning, both, and what fits nothing
    st.just({}),
    st.fixed_dictionaries({"input_audio": recording}, optional=part),
    st.fixed_dictionaries({"input_audio": recording, "continuation": st.just(True)}, optional=part),
    st.fixed_dictionaries({"input_audio": recording, "continuation": st.just(True), "melody_audio": recording}),
    st.fixed_dictionaries({}, optional={**part, "continuation": st.booleans(), "melody_audio": recording}),
)
others = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(["slow piano", "", None]),
        "model_version": st.sampled_from([*get_args(ModelVersion), "melody", "stereo-melody"]),
        "duration": st.sampled_from([300, 40, 3, 2, 1]),
    },
    optional={
        "multi_band_diffusion": st.booleans(),
        "top_k": st.sampled_from([0, 1, 2048]),
        "top_p": st.sampled_from([0, 1e-9, 1]),
        "temperature": st.sampled_from([0, 1e-40, 100]),
        "classifier_free_guidance": st.sampled_from([-100, 0, 100]),
        "seed": st.sampled_from([None, -1, 0, 2**32 - 1]),
        "loop": st.booleans(),
    },
)
wishes = st.builds(lambda first, second: first | second, others, audio)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recordings")
    paths = {}
    for name, (seconds, rate, channels, level) in RECORDINGS.items():
        t = np.arange(round(seconds * rate))[:, np.newaxis] / rate
        paths[name] = folder / f"{name}.wav"
        soundfile.write(paths[name], level * np.cos(2 * np.pi * 330 * (1 + np.arange(channels)) * t), rate)
    return paths


def config_of(version: str) -> MusicgenConfig:
    """The published one but for the network's size, which no plan looks at."""
    sound, melody, channels = version.startswith("audiogen"), "melody" in version, 2 if "stereo" in version else 1
    return MusicgenConfig(
        name=version,
        layers=1,
        width=8,
        heads=1,
        ffn=8,
        codebooks=4 * channels,
        vocabulary=2048,
        delays=interleaved_delays(4 * channels, channels),
        channels=channels,
        text_width=8,
        projects_text=True,
        melody=melody,
        chroma_length=CHROMA_LENGTH if melody else 0,
        max_duration_seconds=10.0 if sound else 30.0,
        stride_seconds=2.0 if sound else 18.0,
        sample_rate=16_000 if sound else 32_000,
        frame_rate=50.0,
    )


def answer_to(wish: dict[str, Any], recordings: dict[str, Path]) -> tuple[MusicInputs, Plan] | InvalidRequest:
    files = {name: recordings[wish[name]] for name in ("input_audio", "melody_audio") if name in wish}
    config = config_of(wish["model_version"])
    try:
        inputs = MusicInputs.parse(**{**wish, **files})
        return inputs, make_plan(inputs.to_request("a", "m"), config, diffusion=config.sample_rate == 32_000)
    except InvalidRequest as error:
        return error


@settings(max_examples=80, deadline=None)
@given(wish=wishes)
def test_what_is_taken_lasts_as_long_as_it_was_asked(recordings: dict[str, Path], wish: dict[str, Any]) -> None:
    answer = answer_to(wish, recordings)
    if isinstance(answer, InvalidRequest):
        assert {field for field, _ in answer.problems} <= MusicInputs.model_fields.keys()
        return
    inputs, plan = answer
    music = plan.request.music
    assert plan.frames == 50 * inputs.duration + round(50 * music.overrun_seconds)
    assert plan.windows[-1].stop == plan.frames
    assert (plan.prefix is not None) == inputs.continuation
    heard = inputs.melody_audio if inputs.continuation else inputs.input_audio
    assert (plan.melody is not None) == (heard is not None)
