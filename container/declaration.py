"""What a predictor's file declares: the inputs in order, the output, and whether it streams. Never imports the file.

Cog parses the same file as text; where it would lose a word in silence, this reader raises DeclarationError with the
line and the fix. Source: replicate/cog pkg/schema/python/inputs.go and target.go.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container.annotations import InputType, read_input_type, read_output_schema
from container.literals import read_keyword, read_literal
from container.source import DeclarationError, Source

_WANTED: dict[str, tuple[type, ...]] = {
    "description": (str,),
    "ge": (int, float),
    "le": (int, float),
    "min_length": (int,),
    "max_length": (int,),
    "regex": (str,),
    "choices": (list,),
    "deprecated": (bool,),
    "accept": (str,),
}


@dataclass(frozen=True)
class InputDeclaration:
    """One parameter. `options` holds what Input() was given: default, description, ge, le, choices …"""

    name: str
    type: InputType
    options: dict[str, Any]

    @property
    def has_default(self) -> bool:
        return "default" in self.options

    @property
    def is_nullable(self) -> bool:
        """Optional, or Cog's one exception: a Secret whose default is None."""
        secret = self.type == InputType("Secret") and self.has_default and self.options["default"] is None
        return self.type.is_optional or secret

    @property
    def is_required(self) -> bool:
        return not self.has_default and not self.type.is_optional


@dataclass(frozen=True)
class PredictorDeclaration:
    inputs: tuple[InputDeclaration, ...]
    output: dict[str, Any]  # JSON schema without title
    streams: bool


def read_predictor(reference: str, directory: Path = Path()) -> PredictorDeclaration:
    """Read `file.py:Class` below `directory`."""
    file, separator, class_name = reference.partition(".py:")
    if not separator or not class_name:
        raise DeclarationError(f"'{reference}' is no reference to a predictor. Write it like predict.py:Predictor.")
    return parse_predictor(Source.read(directory / f"{file}.py"), class_name)


def parse_predictor(source: Source, class_name: str) -> PredictorDeclaration:
    method = _method(source, _class(source, class_name))
    if method.returns is None:
        raise source.error(method, f"{method.name}() declares no output. Write `-> Path:` after its parameters.")
    output = read_output_schema(source, method.returns)
    streams = any(source.is_from_cog(_called(d), "streaming") for d in method.decorator_list)
    if streams and "x-cog-array-type" not in output:
        raise source.error(method, f"@streaming {method.name}() returns no iterator. Write `-> Iterator[Path]:`.")
    return PredictorDeclaration(tuple(_inputs(source, method)), output, streams)


Method = ast.FunctionDef | ast.AsyncFunctionDef


def _class(source: Source, class_name: str) -> ast.ClassDef:
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return node
    raise DeclarationError(f"{source.path}: has no `class {class_name}`. Define it there; Cog follows no assignment.")


def _method(source: Source, owner: ast.ClassDef) -> Method:
    found = [n for n in owner.body if isinstance(n, Method) and n.name in ("run", "predict")]
    if len(found) != 1:
        problem = f"class {owner.name} defines {len(found)} of run() and predict() itself; Cog wants exactly one."
        raise source.error(owner, problem)
    return found[0]


def _inputs(source: Source, method: Method) -> Iterator[InputDeclaration]:
    arguments = method.args
    if arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        raise source.error(method, f"{method.name}() uses `/`, `*` or `**`; Cog reads plain parameters only.")
    parameters = arguments.args[1:]  # the first one is self
    defaults = [None] * (len(parameters) - len(arguments.defaults)) + arguments.defaults
    for parameter, default in zip(parameters, defaults, strict=True):
        yield _input(source, parameter, default)


def _input(source: Source, parameter: ast.arg, default: ast.expr | None) -> InputDeclaration:
    name = parameter.arg
    if parameter.annotation is None:
        raise source.error(parameter, f"input {name} has no type. Write `{name}: str`.")
    annotation = read_input_type(source, parameter.annotation)
    options = {} if default is None else _options(source, parameter, default)
    if "accept" in options and not annotation.is_file:
        raise source.error(parameter, f"input {name} has accept but is no file. Only Path inputs take it.")
    declaration = InputDeclaration(name, annotation, options)
    if declaration.has_default and options["default"] is None and not declaration.is_nullable:
        problem = f"input {name} is required for Cog although its default is None. Write `{name}: Optional[…]`."
        raise source.error(parameter, problem)
    return declaration


def _options(source: Source, parameter: ast.arg, default: ast.expr) -> dict[str, Any]:
    name = parameter.arg
    match default:
        case ast.Call(func=called, args=positional, keywords=keywords) if source.is_from_cog(called, "Input"):
            if isinstance(called, ast.Attribute) or positional:
                raise source.error(default, f"input {name}: Cog reads `Input(default=…)` only, imported from cog.")
            return {str(keyword.arg): _option(source, name, keyword) for keyword in keywords}
    assert parameter.annotation is not None
    if source.between(parameter.annotation, default).strip() != "=":
        raise source.error(default, f"the default of input {name} stands in parentheses; Cog reads a bare literal.")
    return {"default": read_literal(source, default, source.words(default), f"the default of input {name}")}


def _option(source: Source, name: str, keyword: ast.keyword) -> Any:
    if keyword.arg != "default" and keyword.arg not in _WANTED:
        known = ", ".join(("default", *_WANTED))
        raise source.error(keyword, f"input {name}: Input() knows no `{keyword.arg or '**'}`. It takes {known}.")
    what = f"{keyword.arg} of input {name}"
    value = read_keyword(source, keyword, what)
    wanted = _WANTED.get(keyword.arg or "", (object,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted and object not in wanted):
        raise source.error(
            keyword, f"{what} is {value!r}; it must be a literal {' or '.join(t.__name__ for t in wanted)}."
        )
    if value == [] and keyword.arg == "choices":
        raise source.error(keyword, f"{what} is empty; Cog would take any value. List what may be chosen.")
    return value


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator
