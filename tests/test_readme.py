"""What README says is so: its library example runs, and its table of inputs is the schema's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from models.inputs import DialogueInputs, MusicInputs
from models.weights import NAMES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(mark: str) -> str:
    match = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert match, f"README has no block after <!-- {mark} -->"
    return match[1]


def table_after(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, header and ruler left out."""
    section = README.split(f"\n## {heading}\n", 1)[1]
    rows = re.findall(r"^\|.*\|$", section.split("\n## ", 1)[0], re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_library_example_runs_and_hears_itself(tmp_path: Path) -> None:
    environ = os.environ | {"PARLEY_MODEL": "dia-random", "PARLEY_WEIGHTS_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", block("python")], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert "random weights" in lines[0]
    assert lines[-1].endswith("100%")
    assert len(lines) > 5


def test_the_table_of_inputs_has_the_names_order_defaults_and_limits_of_the_schema() -> None:
    rows = {row[0]: row for row in table_after("Inputs") if len(row) == 5}
    assert list(rows) == list(DialogueInputs.model_fields)
    for name, field in DialogueInputs.model_fields.items():
        bounds = {type(m).__name__: m for m in field.metadata}
        if "Ge" in bounds:
            assert rows[name][3] == f"{bounds['Ge'].ge}–{bounds['Le'].le}"
        if isinstance(field.default, int | float):
            assert float(rows[name][2]) == field.default


def test_the_table_of_music_has_the_names_order_defaults_limits_and_choices_of_the_schema() -> None:
    rows = {row[0]: row for row in table_after("Music and sounds")}
    assert list(rows) == list(MusicInputs.model_fields)
    described = MusicInputs.model_json_schema()["properties"]
    for name, field in MusicInputs.model_fields.items():
        bounds = {type(m).__name__: m for m in field.metadata}
        if "Ge" in bounds:
            assert rows[name][3] == f"{bounds['Ge'].ge}–{bounds['Le'].le}"
        if "enum" in described[name]:
            assert rows[name][3].split(", ") == described[name]["enum"]
        if field.default is not None:
            assert rows[name][2] == json.dumps(field.default).strip('"').removesuffix(".0")


def test_every_checkpoint_that_can_be_named_is_in_the_table_of_settings() -> None:
    (row,) = [row for row in table_after("Settings") if row[0] == "PARLEY_MODEL"]
    assert set(re.findall(r"dia[-\w]*", row[1])) == set(NAMES)
