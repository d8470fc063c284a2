"""Words of the command line become inputs by the schema, or an error that names the word and the way out."""

import base64
import json

import pytest
from container_fixtures import write_toy

from container import schema
from container.arguments import ArgumentError, describe_inputs, parse_inputs


@pytest.fixture
def document(tmp_path) -> dict:
    return json.loads(schema.generate("predict.py:Predictor", write_toy(tmp_path)))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("seed=7", 7),
        ("seconds=2", 2),
        ("seconds=2.5", 2.5),
        ("loud=true", True),
        ('tags=["x", "y"]', ["x", "y"]),
        ("output_format=ogg", "ogg"),
        ("audio=https://example.org/a.wav", "https://example.org/a.wav"),
        ("audio=data:audio/wav;base64,AAAA", "data:audio/wav;base64,AAAA"),
    ],
)
def test_values_get_the_type_of_the_schema(document, word, value):
    name = word.partition("=")[0]
    read = parse_inputs(["text=say", word], document)[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["600", "a=b", "null", '"quoted"', "true", " "])
def test_strings_stay_as_they_are(document, text):
    assert parse_inputs([f"text={text}"], document) == {"text": text}


@pytest.mark.parametrize(("name", "kind"), [("a.wav", "audio/"), ("a.bin2", "application/octet-stream")])
def test_a_file_becomes_a_data_uri(document, tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"\x00sound")
    read = parse_inputs(["text=say", f"audio=@{tmp_path / name}"], document)["audio"]
    head, _, payload = read.partition(";base64,")
    assert head.startswith(f"data:{kind}")
    assert base64.b64decode(payload) == b"\x00sound"


@pytest.mark.parametrize("word", ["key=two words", "key=@key.txt"])
def test_a_secret_is_taken_as_it_is_or_out_of_a_file(document, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.txt").write_text("two words\n")
    assert parse_inputs(["text=say", word], document)["key"] == "two words"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "text is missing. Add -i text=…"),
        (["text"], "Write it as name=value"),
        (["text=a", "txt=b"], "txt is no input of this predictor. It takes text, seconds, audio"),
        (["text=a", "text=b"], "text is given twice"),
        (["text=@script.txt"], "takes text, not a file"),
        (["text="], "text is 0 characters; at least 1"),
        (["text=a", "seed=null"], "seed is 'null'; it must be a whole number"),
        (["text=a", "seed=1.5"], "a whole number"),
        (["text=a", "seed=true"], "a whole number"),
        (["text=a", "seed=-1"], "seed is -1; at least 0, at most 4294967295"),
        (["text=a", "seconds=NaN"], "a number"),
        (["text=a", "seconds=61"], "at most 60"),
        (["text=a", "loud=yes"], "true or false"),
        (["text=a", "tags=x"], "a JSON list"),
        (["text=a", "output_format=aac"], "choose wav, ogg"),
        (["text=a", "audio=voice.wav"], "write audio=@voice.wav"),
        (["text=a", "audio=@missing.wav"], "cannot be read"),
        (["text=a", "key=@missing.txt"], "cannot be read as text"),
    ],
)
def test_a_wrong_word_is_refused_before_a_server_is_started(document, words, said):
    with pytest.raises(ArgumentError) as caught:
        parse_inputs(words, document)
    assert said in str(caught.value)


def test_every_input_is_described_with_its_limits_and_default(document):
    described = describe_inputs(document)
    assert "text: string, required\n      say, sleep" in described
    assert "seconds: number, 0 to 60, default 0" in described
    assert "audio: file, optional" in described
    assert "key: secret, optional" in described
    assert "output_format: string, wav | ogg, default wav" in described
