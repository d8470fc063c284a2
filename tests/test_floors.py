"""Who may import whom. A room imports rooms below it, families never import each other, torch ends at the pipeline."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The floor of a room; the longest matching prefix counts.
FLOORS = {
    "models.errors": 0,
    "models.request": 0,
    "models.inputs": 0,
    "models.weights": 0,
    "models.audio": 1,
    "models.decoding": 1,
    "models.codecs": 2,
    "models.listening": 2,
    "models.dia": 3,
    "models.musicgen": 3,
    "models.registry": 4,
    "models.engine": 5,
    "predict": 6,
    "container": 6,
    "serving": 6,
    "training": 6,
    "benchmarks": 6,
}
FAMILIES = {"models.dia", "models.musicgen"}
DOORS = {room for room, floor in FLOORS.items() if floor == 6}
# Rooms that must not need torch. models.engine takes numpy from a pipeline, and serving is tested without torch.
WITHOUT_TORCH = ("models.errors", "models.request", "models.inputs", "models.weights", "models.audio", "container")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    rooms = [ROOT / name for name in ("models", "container", "serving", "training", "benchmarks")]
    return [ROOT / "predict.py", *(path for room in rooms if room.is_dir() for path in sorted(room.rglob("*.py")))]


def room_of(module: str) -> str | None:
    fitting = [room for room in FLOORS if module == room or module.startswith(room + ".")]
    return max(fitting, key=len, default=None)


def imports(path: Path) -> set[str]:
    """Every module a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    module = module_name(path)
    here = room_of(module)
    if here is None:
        assert module == "models", f"{module} has no floor; give its room one"
        return
    for imported in imports(path):
        there = room_of(imported)
        if there is None or there == here:
            continue
        assert FLOORS[there] <= FLOORS[here], f"{module} (floor {FLOORS[here]}) imports {imported} from above"
        assert not {here, there} <= FAMILIES, f"{module} imports {imported}: families do not know each other"
        assert not {here, there} <= DOORS, f"{module} imports {imported}: doors do not know each other"


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_torch_stays_where_it_belongs(path: Path) -> None:
    here = room_of(module_name(path)) or ""
    if here.startswith(WITHOUT_TORCH) or here in ("models.engine", "predict"):
        assert not any(name.split(".")[0] == "torch" for name in imports(path)), path


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_no_file_outgrows_its_one_noun(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 310, f"{path.name} has two subjects by now; split it"
