"""A Python file as text: its tree, its words, and errors that point into it. Runs nothing of the file."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


class DeclarationError(ValueError):
    """Cog could not read the predictor's file, or would read something else than Python does."""


@dataclass(frozen=True)
class Source:
    """One parsed file. `imports` maps each imported name to (module, original name)."""

    path: str
    text: str
    tree: ast.Module
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, path: str, text: str) -> Self:
        try:
            tree = ast.parse(text, path)
        except SyntaxError as error:
            raise DeclarationError(f"{path}:{error.lineno}: is not Python: {error.msg}.") from error
        return cls(path, text, tree, dict(_imports(tree)))

    @classmethod
    def read(cls, path: Path) -> Self:
        try:
            return cls.parse(str(path), path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DeclarationError(f"{path}: cannot be read: {error.strerror}.") from error

    def words(self, node: ast.AST) -> str:
        """The node as it is written, without parentheses around it."""
        return ast.get_source_segment(self.text, node) or ""

    def between(self, start: ast.expr, end: ast.expr) -> str:
        """What is written after `start` and before `end`."""
        lines = self.text.encode().splitlines(keepends=True)
        first = sum(map(len, lines[: (start.end_lineno or 1) - 1])) + (start.end_col_offset or 0)
        last = sum(map(len, lines[: end.lineno - 1])) + end.col_offset
        return b"".join(lines)[first:last].decode()

    def error(self, node: ast.AST, problem: str) -> DeclarationError:
        return DeclarationError(f"{self.path}:{getattr(node, 'lineno', 1)}: {problem}")

    def is_from_cog(self, node: ast.expr, name: str) -> bool:
        """Whether the expression is `name` imported from cog, or `cog.name`."""
        match node:
            case ast.Name(id=local):
                return self.imports.get(local) == ("cog", name)
            case ast.Attribute(value=ast.Name(id=local), attr=attribute):
                return attribute == name and self.imports.get(local) == ("cog", "")
        return False


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in tree.body:
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((alias.asname or alias.name, (module, alias.name)) for alias in names)
            case ast.Import(names=names):
                yield from ((alias.asname or alias.name, (alias.name, "")) for alias in names)
