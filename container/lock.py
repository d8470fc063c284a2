"""The pins of the image and of its tests: read, written and compared. Knows no index and installs nothing.

    python -m container.lock        resolve container/*.in afresh and write the files below (needs uv, and an index)

requirements.txt        what Cog installs: `name==version` lines, nothing else. Cog's parser drops hashes, markers and
                        options, and cuts names at a dot, so there are none (replicate/cog pkg/requirements).
requirements.lock       the same pins with the sha256 of their files, torch as its CPU build:
                        pip install --require-hashes -r requirements.lock
requirements-cuda.lock  the same again for a GPU: torch as its default build, and the CUDA libraries it brings along.
requirements-serving.txt    what `python -m serving` needs on top.
requirements-dev.txt    what the tests and checks need on top of both.

requirements-listening.txt, requirements-clip.txt and requirements-audiocraft.txt are written by hand: nothing of what
their packages ask for is to be resolved.

There is a lock for each build of torch because pip, given the hashes of both, always takes the one of the index.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = "3.11"  # of cog.yaml
PLATFORM = "x86_64-manylinux_2_28"

# torch 2.13.0+cpu, cp311, manylinux_2_28_x86_64. The default index does not list it, so uv cannot look it up: on a new
# torch, put in what `pip hash` says of its wheel.
CPU_TORCH_HASH = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"

_PIN = re.compile(r"([a-z0-9-]+)==([^\s\\;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")

_FLAT_HEADER = """\
# Written by `python -m container.lock` from container/requirements.in; do not edit.
# What Cog installs: every package, also the indirect ones. It installs cog and coglet itself, by the sdk_version of
# cog.yaml, and warns that it takes their two lines out. The CUDA libraries are not here, so that a machine without a
# GPU need not fetch them: torch {torch} pins them itself, exactly but for cuda-bindings, cuda-pathfinder and
# nvidia-nvjitlink; requirements-cuda.lock has them all.
"""
_LOCK_HEADER = """\
# Written by `python -m container.lock`; do not edit. The pins of requirements.txt with the sha256 of their files.
# torch is its CPU build for Linux x86-64 and Python 3.11; a machine with a GPU takes requirements-cuda.lock.
"""
_CUDA_HEADER = """\
# Written by `python -m container.lock`; do not edit. The pins of requirements.txt and the CUDA libraries of torch, with
# the sha256 of their files, for Linux x86-64. A machine without a GPU takes requirements.lock.
"""
_SERVING_HEADER = """\
# Written by `python -m container.lock` from container/requirements-serving.in; do not edit. What `python -m serving`
# needs on top of requirements.txt; the image goes without.
"""
_DEV_HEADER = """\
# Written by `python -m container.lock` from container/requirements-dev.in; do not edit. For tests and checks only.
"""


@dataclass(frozen=True)
class Pin:
    """One package at one version, and the sha256 of the files it may come in."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def is_cuda(self) -> bool:
        return self.name.startswith(("nvidia-", "cuda-")) or self.name == "triton"


def parse(text: str) -> tuple[Pin, ...]:
    """The pins of a requirements file, in order; comments are skipped, hashes belong to the pin above them."""
    pins: list[Pin] = []
    for line in text.splitlines():
        words = line.partition("#")[0].strip()
        if (match := _PIN.match(words)) is not None:
            pins.append(Pin(match[1], match[2]))
        if hashes := _HASH.findall(words):
            pins[-1] = replace(pins[-1], hashes=(*pins[-1].hashes, *hashes))
    return tuple(pins)


def render(pins: Iterable[Pin], header: str, *, with_hashes: bool) -> str:
    return header + "".join(_lines(pin, with_hashes) for pin in pins)


def _lines(pin: Pin, with_hashes: bool) -> str:
    hashes = [f"--hash=sha256:{digest}" for digest in pin.hashes] if with_hashes else []
    return " \\\n    ".join([str(pin), *hashes]) + "\n"


def files(runtime: tuple[Pin, ...], hosted: tuple[Pin, ...], everything: tuple[Pin, ...]) -> dict[str, str]:
    """The text of each file, from the pins of the image, of the image with the hosting, and of both with the tests'."""
    torch = next(pin.version for pin in runtime if pin.name == "torch")
    common = [pin for pin in runtime if not pin.is_cuda]
    cpu = [replace(pin, hashes=(CPU_TORCH_HASH,)) if pin.name == "torch" else pin for pin in common]
    return {
        "requirements.txt": render(common, _FLAT_HEADER.format(torch=torch), with_hashes=False),
        "requirements.lock": render(cpu, _LOCK_HEADER, with_hashes=True),
        "requirements-cuda.lock": render(runtime, _CUDA_HEADER, with_hashes=True),
        "requirements-serving.txt": render(_without(hosted, runtime), _SERVING_HEADER, with_hashes=False),
        "requirements-dev.txt": render(_without(everything, hosted), _DEV_HEADER, with_hashes=False),
    }


def _without(pins: tuple[Pin, ...], others: tuple[Pin, ...]) -> list[Pin]:
    names = {pin.name for pin in others}
    return [pin for pin in pins if pin.name not in names]


def _resolve(*inputs: Path) -> tuple[Pin, ...]:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORM, *map(str, inputs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit("Nothing was written. If uv is missing, install it: pip install uv")
    return parse(done.stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(
        prog="python -m container.lock",
        description="Resolve container/*.in afresh and write the files of pins. Needs uv, and an index.",
    ).parse_args(arguments)
    image, serving, dev = (ROOT / "container" / f"requirements{of}.in" for of in ("", "-serving", "-dev"))
    texts = files(_resolve(image), _resolve(image, serving), _resolve(image, serving, dev))
    for name, text in texts.items():
        (ROOT / name).write_text(text)


if __name__ == "__main__":
    main()
