"""The pins are flat where Cog reads them, hashed where pip checks them, the same in both, and cover what we import."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from container import lock

ROOT = Path(__file__).parent.parent
FLAT = (ROOT / "requirements.txt").read_text()
LOCKED = lock.parse((ROOT / "requirements.lock").read_text())
SERVING = lock.parse((ROOT / "requirements-serving.txt").read_text())
CUDA = lock.parse((ROOT / "requirements-cuda.lock").read_text())

COGS_PIN = re.compile(r"([a-zA-Z0-9\-_]+)==([^ ]+)")  # replicate/cog pkg/requirements, SplitPinnedPythonRequirement
OUR_ROOMS = ("models", "prediction", "container", "serving")
OPTIONAL = ("demucs",)  # used where it is installed, and not missed where it is not


def lines_cog_reads(text: str) -> list[str]:
    """Cog skips comment lines, cuts `#…` off, and keeps the rest."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def test_every_line_survives_cogs_parser_unchanged():
    for line in lines_cog_reads(FLAT):
        match = COGS_PIN.search(line)
        assert match is not None, line
        assert f"{match[1]}=={match[2]}" == line


def test_parser_of_cog_would_change_what_we_keep_out():
    """The reason for the rule: names with a dot, hashes and markers do not come out as they went in."""
    for line in ("ruamel.yaml==0.18.6", "numpy==2.2.6 --hash=sha256:aa", 'scipy==1.15.0; python_version>"3"'):
        match = COGS_PIN.search(line)
        assert match is not None
        assert match[0] != line


def test_requirements_and_lock_pin_the_same_versions():
    assert [str(pin) for pin in lock.parse(FLAT)] == [str(pin) for pin in LOCKED]


@pytest.mark.parametrize("pins", [LOCKED, CUDA], ids=["cpu", "cuda"])
def test_every_locked_package_has_hashes(pins):
    assert [pin.name for pin in pins if not pin.hashes or len(set(pin.hashes)) < len(pin.hashes)] == []


def test_the_lock_for_a_gpu_adds_nothing_but_the_cuda_libraries():
    assert [str(pin) for pin in CUDA if not pin.is_cuda] == [str(pin) for pin in LOCKED]
    assert any(pin.name == "nvidia-cublas" for pin in CUDA)


def test_each_lock_has_the_hashes_of_one_build_of_torch():
    """pip, given the hashes of both builds, takes the one of the index and fails on the CUDA libraries."""
    (cpu,), (default,) = ([pin for pin in pins if pin.name == "torch"] for pins in (LOCKED, CUDA))
    assert cpu.hashes == (lock.CPU_TORCH_HASH,)
    assert lock.CPU_TORCH_HASH not in default.hashes


def test_direct_requirements_are_pinned_as_they_are_declared():
    declared = {str(pin) for pin in lock.parse((ROOT / "container" / "requirements.in").read_text())}
    assert declared <= {str(pin) for pin in LOCKED}


def test_test_tools_are_pinned_and_none_is_in_the_image():
    dev = lock.parse((ROOT / "requirements-dev.txt").read_text())
    names = {pin.name for pin in dev}
    assert {"pytest", "hypothesis", "ruff", "mypy", "jsonschema"} <= names
    assert names.isdisjoint(pin.name for pin in (*LOCKED, *SERVING))


@pytest.mark.parametrize("name", ["listening", "clip", "audiocraft"])
def test_what_is_installed_without_its_dependencies_has_hashes_and_no_pin_elsewhere(name):
    bare = lock.parse((ROOT / f"requirements-{name}.txt").read_text())
    dev = lock.parse((ROOT / "requirements-dev.txt").read_text())
    assert bare
    assert [pin.name for pin in bare if not pin.hashes] == []
    assert {pin.name for pin in bare}.isdisjoint(pin.name for pin in (*LOCKED, *SERVING, *dev))


def test_the_hosting_is_pinned_as_declared_and_is_not_in_the_image():
    declared = {str(pin) for pin in lock.parse((ROOT / "container" / "requirements-serving.in").read_text())}
    assert declared <= {str(pin) for pin in (*SERVING, *LOCKED)}
    assert {pin.name for pin in SERVING}.isdisjoint(pin.name for pin in LOCKED)


def third_party_imports(*patterns: str) -> set[str]:
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    names = set()
    for node in (node for path in files for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - set(OUR_ROOMS) - set(OPTIONAL)


def declared_in(*names: str) -> set[str]:
    return {pin.name for name in names for pin in lock.parse((ROOT / "container" / name).read_text())}


def owners(module: str) -> set[str]:
    names = importlib.metadata.packages_distributions().get(module, [module])
    return {name.lower().replace("_", "-") for name in names}


@pytest.mark.parametrize(
    "module", sorted(third_party_imports("predict.py", "prediction/*.py", "models/**/*.py", "container/**/*.py"))
)
def test_what_the_image_imports_is_declared(module):
    assert owners(module) & declared_in("requirements.in")


@pytest.mark.parametrize("module", sorted(third_party_imports("serving/**/*.py")))
def test_what_the_hosting_imports_is_declared(module):
    assert owners(module) & declared_in("requirements.in", "requirements-serving.in")


def test_a_lock_is_read_back_as_it_was_written():
    pins = (lock.Pin("a-b", "1.0", ("1" * 64, "2" * 64)), lock.Pin("c", "2.0", ("3" * 64,)))
    written = lock.render(pins, "# header\n", with_hashes=True)
    assert written.splitlines()[:4] == [
        "# header",
        "a-b==1.0 \\",
        f"    --hash=sha256:{'1' * 64} \\",
        f"    --hash=sha256:{'2' * 64}",
    ]
    assert lock.parse(written) == pins


def test_resolved_pins_are_sorted_into_their_files():
    runtime = tuple(lock.Pin(name, "1", ("0" * 64,)) for name in ("torch", "nvidia-cublas", "triton", "numpy"))
    hosted = (*runtime, lock.Pin("uvicorn", "0"))
    texts = lock.files(runtime, hosted, (*hosted, lock.Pin("pytest", "9")))
    names = {file: [pin.name for pin in lock.parse(text)] for file, text in texts.items()}
    assert names == {
        "requirements.txt": ["torch", "numpy"],
        "requirements.lock": ["torch", "numpy"],
        "requirements-cuda.lock": ["torch", "nvidia-cublas", "triton", "numpy"],
        "requirements-serving.txt": ["uvicorn"],
        "requirements-dev.txt": ["pytest"],
    }


@pytest.mark.parametrize(("option", "status"), [("--help", 0), ("--check", 2)])
def test_who_asks_what_it_does_gets_nothing_resolved(option, status, monkeypatch, capsys):
    """Before, options were passed over: --help wrote all files anew."""
    monkeypatch.setattr(lock, "_resolve", lambda *_: pytest.fail("it resolved"))
    with pytest.raises(SystemExit) as ended:
        lock.main([option])
    assert ended.value.code == status
    shown = capsys.readouterr()
    assert "usage: python -m container.lock" in shown.out + shown.err
