"""Literals that Cog reads as Python does. Cog takes them from the text of the file and evaluates nothing.

It keeps backslashes in strings, joins nothing, looks no name up for a bound, and drops what it cannot read without a
word; so everything but one plain literal is an error here. Source: replicate/cog pkg/schema/python/literals.go.
"""

import ast
import io
import math
import re
import tokenize
from typing import Any

from container.source import Source

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")  # no 1_000, no 0x10: Cog drops those in bounds
_QUOTED = re.compile(r"\"{3}(.*)\"{3}|'{3}(.*)'{3}|r?\"(.*)\"|r?'(.*)'", re.DOTALL)
_LARGEST = {int: 2**63 - 1, float: math.inf}


def read_literal(source: Source, node: ast.expr, written: str, what: str) -> Any:
    """The value of a literal; `what` names it in the error. A list is read as a list of literals."""
    value: Any
    match node:
        case ast.Constant(value=bool() | None as value):
            fix = "Write it without parentheses."
            read = written in ("True", "False", "None")
        case ast.Constant(value=str() as value):
            fix = "Write one plain string: no backslash, no prefix but r, no joined pieces, no parentheses."
            read = _as_text(written) == value
        case ast.Constant(value=int() | float()) | ast.UnaryOp(operand=ast.Constant(value=int() | float())):
            value = ast.literal_eval(node) if _NUMBER.fullmatch(written) else None
            fix = "Write it in plain digits, at most 64 bits."
            read = value is not None and math.isfinite(value) and abs(value) <= _LARGEST[type(value)]
        case ast.List(elts=elements):
            value = [read_literal(source, e, source.words(e), f"an element of {what}") for e in elements]
            fix = "Write the list without comments and parentheses in it."
            read = _is_bare(written)
        case _:
            value, read = None, False
            fix = "Write the value itself, not a name, an f-string or an expression."
    if not read:
        raise source.error(node, f"{what} is `{written}`; Cog reads this file as text and would lose it. {fix}")
    return value


def read_keyword(source: Source, keyword: ast.keyword, what: str) -> Any:
    """The literal after `name=` in a call."""
    _, _, written = source.words(keyword).partition("=")
    return read_literal(source, keyword.value, written.strip(), what)


def _as_text(written: str) -> str | None:
    """What Cog takes a string to be: the characters between its quotes."""
    if (match := _QUOTED.fullmatch(written)) is None:
        return None
    return next(group for group in match.groups() if group is not None)


def _is_bare(written: str) -> bool:
    tokens = tokenize.generate_tokens(io.StringIO(written).readline)
    return written.startswith("[") and all(t.type != tokenize.COMMENT and t.string != "(" for t in tokens)
