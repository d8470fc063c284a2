""".ci/run takes its commands from README.md, so the README cannot tell a reader something that does not work."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".ci" / "run"

README = """# Title
<!-- run -->
```sh
echo first
echo second
```
```sh
echo third
```
Words. <!-- test -->

```
echo fourth
```
"""


def functions() -> str:
    """The script up to the first line that does something."""
    text = SCRIPT.read_text()
    return text[text.index("# The lines of the first code block") : text.index("ensure_debian_packages ffmpeg")]


def block(folder: Path, name: str, function: str = "readme_block") -> subprocess.CompletedProcess[str]:
    command = f"set -euo pipefail\n{functions()}\n{function} {name}"
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "expected"), [("run", "echo first\necho second\n"), ("test", "echo fourth\n")])
def test_a_block_is_the_first_one_after_its_mark(tmp_path, name, expected):
    (tmp_path / "README.md").write_text(README)
    assert block(tmp_path, name).stdout == expected


def test_a_missing_block_fails_the_script(tmp_path):
    (tmp_path / "README.md").write_text(README)
    found = block(tmp_path, "deploy", "run_readme_block")
    assert found.returncode != 0
    assert "no code block after <!-- deploy -->" in found.stderr


def test_a_failing_line_of_a_block_fails_the_script(tmp_path):
    (tmp_path / "README.md").write_text("<!-- run -->\n```\nfalse\necho reached\n```\n")
    found = block(tmp_path, "run", "run_readme_block")
    assert found.returncode != 0
    assert found.stdout.count("reached") == 1  # as it is shown, not run


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_readme_has_both_commands(name):
    if not (ROOT / "README.md").exists():
        pytest.skip("README.md is not written yet")
    assert block(ROOT, name).stdout


def test_the_script_is_executable_and_parses():
    assert shutil.which(str(SCRIPT)) is not None
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=False).returncode == 0
