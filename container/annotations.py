"""Types that Cog knows, read from annotations, as JSON schema. Knows no default and no bound.

Source: replicate/cog pkg/schema/types.go and schema_type.go. Left out here: unions, TypedDict, Opaque and pydantic
outputs; they are errors, so that nothing half-read reaches a schema.
"""

import ast
from dataclasses import dataclass, replace
from typing import Any

from container.source import Source

_SCHEMAS: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "Path": {"type": "string", "format": "uri"},
    "File": {"type": "string", "format": "uri"},
    "Secret": {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True},
    "Any": {"type": "object"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
}
_FROM_COG = ("Path", "File", "Secret")
_ITERATORS = ("Iterator", "AsyncIterator")
_TEXT_ITERATORS = ("ConcatenateIterator", "AsyncConcatenateIterator")


@dataclass(frozen=True)
class InputType:
    """bool, str, Path …; alone, as a list, or optional."""

    name: str
    is_list: bool = False
    is_optional: bool = False

    @property
    def item_schema(self) -> dict[str, Any]:
        return dict(_SCHEMAS[self.name])

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item_schema} if self.is_list else self.item_schema

    @property
    def is_file(self) -> bool:
        return self.name in ("Path", "File")


def read_input_type(source: Source, node: ast.expr) -> InputType:
    node = _unquoted(source, node)
    if (inner := _optional(node)) is not None:
        return replace(read_input_type(source, inner), is_optional=True)
    if (arguments := _arguments(node, ("list", "List"))) is not None:
        item = read_input_type(source, arguments[0])
        if item.is_list or item.is_optional:
            raise source.error(node, f"`{source.words(node)}` nests; a list holds plain values only. Write list[str].")
        return replace(item, is_list=True)
    return InputType(_known(source, node, "input"))


def read_output_schema(source: Source, node: ast.expr) -> dict[str, Any]:
    """The schema of what the predictor returns, without its title."""
    node = _unquoted(source, node)
    if _optional(node) is not None:
        raise source.error(node, f"`{source.words(node)}`: an output cannot be optional. Raise an error instead.")
    if (arguments := _arguments(node, ("list", "List"))) is not None:
        return {"type": "array", "items": read_output_schema(source, arguments[0])}
    if (arguments := _arguments(node, ("dict", "Dict"))) is not None:
        return {"type": "object", "additionalProperties": read_output_schema(source, arguments[-1])}
    if (arguments := _arguments(node, _ITERATORS)) is not None:
        items = read_output_schema(source, arguments[0])
        return {"type": "array", "items": items, "x-cog-array-type": "iterator"}
    if (arguments := _arguments(node, _TEXT_ITERATORS)) is not None:
        if _name(arguments[0]) != "str":
            raise source.error(node, f"`{source.words(node)}`: only str can be concatenated. Use Iterator.")
        items = {"type": "string"}
        return {"type": "array", "items": items, "x-cog-array-type": "iterator", "x-cog-array-display": "concatenate"}
    if _name(node) in ("list", "List"):
        return {"type": "array", "items": {"type": "object"}}
    return dict(_SCHEMAS[_known(source, node, "output")])


def _known(source: Source, node: ast.expr, role: str) -> str:
    name = _name(node)
    if name not in _SCHEMAS:
        known = ", ".join(_SCHEMAS)
        raise source.error(node, f"`{source.words(node)}` is no {role} type known here. Use one of {known}.")
    if name in _FROM_COG and not source.is_from_cog(node, name):
        raise source.error(node, f"`{source.words(node)}` is not Cog's {name}. Import it from cog.")
    return name


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _arguments(node: ast.expr, names: tuple[str, ...]) -> list[ast.expr] | None:
    """The type arguments, if the node is one of the named generics with one or two of them."""
    match node:
        case ast.Subscript(value=outer, slice=inner) if _name(outer) in names:
            return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    return None


def _optional(node: ast.expr) -> ast.expr | None:
    """X of Optional[X], Union[X, None] and X | None."""
    if (arguments := _arguments(node, ("Optional",))) is not None:
        return arguments[0]
    members = _arguments(node, ("Union",)) or []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        members = [node.left, node.right]
    others = [m for m in members if not (isinstance(m, ast.Constant) and m.value is None)]
    return others[0] if len(members) == 2 and len(others) == 1 else None


def _unquoted(source: Source, node: ast.expr) -> ast.expr:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return node
    try:
        inner = ast.parse(node.value, mode="eval").body
    except SyntaxError as error:
        raise source.error(node, f"`{source.words(node)}` is no type.") from error
    return ast.copy_location(inner, node)
