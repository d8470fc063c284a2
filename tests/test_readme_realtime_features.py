"""README's table of the realtime socket's features names tests that there are."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text()
TABLE = README.partition("<!-- realtime features -->\n")[2].partition("\n\n")[0]
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in TABLE.splitlines()[2:]]


@cache
def names_in(file: str) -> set[str]:
    """The names that pytest collects there."""
    body = ast.parse((TESTS / file).read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_there_is_a_table() -> None:
    assert len(ROWS) > 20
    assert len({feature for feature, *_ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("feature", "there", "proofs"), ROWS)
def test_a_feature_that_is_there_is_proved_by_tests_that_exist(feature: str, there: str, proofs: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", proofs)
    assert proofs == ", ".join(f"`{file}::{test}`" for file, test in named), "something else stands among the tests"
    assert there.startswith("yes" if named else "no: "), f"{feature}: {there}"
    for file, test in named:
        assert test in names_in(file), f"tests/{file} has no {test}"
