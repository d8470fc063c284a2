"""cog.yaml and cog.music.yaml say what Cog reads: its schema allows it, versions are strings, references resolve."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from container import lock, schema
from container.declaration import read_predictor

ROOT = Path(__file__).parent.parent
CONFIGS = {name: yaml.safe_load((ROOT / name).read_text()) for name in ("cog.yaml", "cog.music.yaml")}
CONFIG = CONFIGS["cog.yaml"]
BUILD = CONFIG["build"]
REFERENCES = {"cog.yaml": schema.DEFAULT_REFERENCE, "cog.music.yaml": schema.MUSIC_REFERENCE}
PINS = {pin.name: pin.version for pin in lock.parse((ROOT / "requirements.txt").read_text())}


@pytest.mark.parametrize("name", CONFIGS)
def test_cog_yaml_is_valid_by_cogs_own_schema(name):
    path = ROOT.parent / "shared" / "data" / "cog-config-schema-v1.0.json"
    if not path.exists():
        pytest.skip(f"Cog's schema of cog.yaml is not beside the repository ({path.name})")
    jsonschema.validate(CONFIGS[name], json.loads(path.read_text()))


def test_cog_yaml_has_no_key_that_cog_would_ignore():
    """Cog decodes what it knows and skips the rest, so a typo such as `gpus` would be lost in silence."""
    assert set(CONFIG) <= {"build", "image", "predict", "environment", "concurrency"}
    assert set(BUILD) == {"gpu", "python_version", "cuda", "system_packages", "python_requirements", "sdk_version"}


@pytest.mark.parametrize("key", ["python_version", "cuda", "sdk_version"])
def test_versions_are_strings_with_a_patch(key):
    assert isinstance(BUILD[key], str)
    assert len(BUILD[key].split(".")) == 3


@pytest.mark.parametrize("name", CONFIGS)
def test_the_reference_resolves(name):
    assert "run" not in CONFIGS[name]
    assert CONFIGS[name]["predict"] == REFERENCES[name]
    assert read_predictor(REFERENCES[name], ROOT).inputs


def test_both_containers_have_the_same_image():
    """So that one set of pins, locks and checks holds for both."""
    assert CONFIGS["cog.music.yaml"] == {**CONFIG, "predict": schema.MUSIC_REFERENCE}


def test_the_requirements_file_exists_and_is_flat():
    assert lock.parse((ROOT / BUILD["python_requirements"]).read_text())


def test_versions_agree_with_the_pins():
    assert BUILD["sdk_version"] == schema.COG_VERSION == PINS["cog"] == PINS["coglet"]
    assert BUILD["python_version"].startswith(f"{lock.PYTHON}.")


def test_cuda_is_the_one_that_torch_is_built_for():
    cuda = {pin.name: pin.version for pin in lock.parse((ROOT / "requirements-cuda.lock").read_text())}
    assert cuda["cuda-toolkit"].startswith(BUILD["cuda"])


def test_the_image_has_the_programs_that_read_and_write_audio():
    assert {"ffmpeg", "libsndfile1"} <= set(BUILD["system_packages"])
