"""What a prediction returns is written under the name that was asked for, or one that fits its type."""

import json
from pathlib import Path

import pytest

from container.outputs import write_output


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("audio/wav", "output.wav"),
        ("audio/x-wav", "output.wav"),
        ("audio/mpeg", "output.mp3"),
        ("audio/ogg", "output.ogg"),
        ("audio/opus", "output.opus"),
        ("application/x-unheard-of", "output"),
    ],
)
def test_a_file_is_named_by_its_type(tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)
    assert write_output(f"data:{kind};base64,AAEC", None) == [name]
    assert (tmp_path / name).read_bytes() == b"\x00\x01\x02"


@pytest.mark.parametrize(("asked", "written"), [("a.flac", "a.flac"), ("a", "a.wav")])
def test_a_file_goes_where_it_was_asked_for(tmp_path, asked, written):
    assert write_output("data:audio/wav;base64,AAEC", tmp_path / asked) == [str(tmp_path / written)]
    assert (tmp_path / written).exists()


@pytest.mark.parametrize(("asked", "stem"), [("a.wav", "a"), ("a", "a"), (None, "output")])
def test_several_files_are_numbered(tmp_path, monkeypatch, asked, stem):
    """Before, where no suffix was asked for the number was taken for one: output.0 and output.1, of no type."""
    monkeypatch.chdir(tmp_path)
    parts = ["data:audio/wav;base64,AA==", "data:audio/wav;base64,AQ=="]
    names = [f"{stem}.0.wav", f"{stem}.1.wav"]
    assert write_output(parts, asked and Path(asked)) == names
    assert b"".join((tmp_path / name).read_bytes() for name in names) == b"\x00\x01"


def test_an_object_is_shown_with_its_files_written(tmp_path):
    output = {"audio": "data:audio/mpeg;base64,AA==", "seed": 7}
    (line,) = write_output(output, tmp_path / "a.mp3")
    assert json.loads(line) == {"audio": str(tmp_path / "a.mp3"), "seed": 7}
    assert (tmp_path / "a.mp3").read_bytes() == b"\x00"


def test_the_files_within_an_object_are_numbered(tmp_path):
    output = {"audio": "data:audio/mpeg;base64,AA==", "variations": [{"audio": "data:audio/mpeg;base64,AQ=="}]}
    (line,) = write_output(output, tmp_path / "a.mp3")
    assert json.loads(line)["variations"] == [{"audio": str(tmp_path / "a.1.mp3")}]
    assert (tmp_path / "a.0.mp3").read_bytes() + (tmp_path / "a.1.mp3").read_bytes() == b"\x00\x01"


@pytest.mark.parametrize(("output", "line"), [("https://example.org/a.wav", "https://example.org/a.wav"), (3, "3")])
def test_what_is_no_file_is_shown(output, line):
    assert write_output(output, None) == [line]
