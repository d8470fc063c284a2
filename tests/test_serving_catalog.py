"""What is said of the served models agrees with the models, and with what the container is made of."""

from pathlib import Path

import pytest

from container import lock
from models.codecs.dac_config import DacConfig
from models.inputs import DialogueInputs, SettledInputs
from serving.catalog import DIA
from serving.doors.models import COG_VERSION

ROOT = Path(__file__).parent.parent


def test_a_second_of_dia_is_as_long_as_its_codec_says() -> None:
    codec = DacConfig.from_file(ROOT / "weights" / "dia-builtin" / "codec" / "config.json")
    assert (DIA.sample_rate, DIA.hop_length) == (codec.sample_rate, codec.hop_length)
    assert round(DIA.tokens_per_second, 2) == 86.13


@pytest.mark.parametrize(
    ("inputs", "fewest", "most"),
    [(DialogueInputs, DIA.fewest_tokens, DIA.most_tokens), (SettledInputs, 500, DIA.most_settled_tokens)],
)
def test_limits_of_tokens_are_those_of_the_declaration(inputs: type[DialogueInputs], fewest: int, most: int) -> None:
    for tokens in (fewest, most):
        inputs.parse(text="Hey.", max_new_tokens=tokens)
    for tokens in (fewest - 1, most + 1):
        with pytest.raises(ValueError, match=f"it must lie between {fewest} and {most}"):
            inputs.parse(text="Hey.", max_new_tokens=tokens)


def test_the_version_of_cog_is_the_one_that_the_container_is_made_with() -> None:
    pins = {pin.name: pin.version for pin in lock.parse((ROOT / "requirements.txt").read_text())}
    assert pins["cog"] == pins["coglet"] == COG_VERSION
