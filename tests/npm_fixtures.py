"""npm packages for tests that run a client under node: installed once, kept in pytest's cache."""

import shutil
import subprocess
from pathlib import Path

import pytest

CLIENTS = {
    "openai": "7.55.0",
    "replicate": "1.4.0",
    "@openai/agents-realtime": "0.20.0",
    "ws": "8.23.0",
    "zod": "4.6.7",
}
INSTALL_SECONDS = 120


def npm_package(config: pytest.Config, name: str, *others: str) -> Path:
    """A folder from which node can import the client, and others beside it.

    Skips the test where there is no node, or npm cannot install.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    assert config.cache is not None
    wanted = [f"{package}@{CLIENTS[package]}" for package in (name, *others)]
    folder = config.cache.mkdir("npm-" + "-".join(wanted).replace("/", "-").replace("@", "-"))
    done = folder / "installed"
    if not done.exists():
        quiet = ("--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
        (folder / "package.json").write_text("{}")
        _run(["npm", "install", *quiet, *wanted], folder)
        done.touch()
    return folder


def _run(command: list[str], folder: Path) -> None:
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm installed nothing within {INSTALL_SECONDS} s")
    if ran.returncode:
        pytest.skip(f"npm cannot install: {ran.stderr.strip()[-200:]}")
