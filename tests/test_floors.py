"""Who may import whom. A room imports rooms below it, families never import each other, torch ends at the pipeline."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The floor of a room; the longest matching prefix counts.
FLOORS = {
    "models.errors": 0,
    "models.request": 0,
    "models.threads": 0,
    "models.inputs": 0,
    "models.weights": 0,
    "models.audio": 1,
    "models.songs": 1,
    "models.decoding": 1,
    "models.codecs": 2,
    "models.listening": 2,
    "models.dia": 3,
    "models.musicgen": 3,
    "models.registry": 4,
    "models.engine": 5,
    "models.variations": 5,
    "models.engine_pool": 5,
    "prediction": 6,
    "predict": 6,
    "container": 6,
    "training": 6,
    "benchmarks": 6,
    # serving, as its map says: tools, what is kept, what is shown and taken in, what works on it, and who asks for it
    **dict.fromkeys([f"serving.{name}" for name in ("access", "addresses", "catalog", "fetch", "hand_over")], 6.0),
    **dict.fromkeys([f"serving.{name}" for name in ("listeners", "public_http", "rate_limit", "rendering")], 6.0),
    **dict.fromkeys([f"serving.{name}" for name in ("sound", "tls", "urls", "voice_recording")], 6.0),
    "serving.storage": 6.1,
    **dict.fromkeys(
        [f"serving.{name}" for name in ("intake", "kept_audio", "links", "prediction_json", "spoken")], 6.2
    ),
    "serving.doors.tasks.dialects": 6.2,
    "serving.doors.tasks.task_json": 6.2,  # the shape of answers, also of those to mistakes: it knows no route
    "serving.work": 6.3,
    "serving.cog": 6.4,
    "serving.settings": 6.4,
    "serving.service": 6.5,
    "serving.audio_stream": 6.6,
    "serving.web": 6.6,  # what is around every route
    "serving.doors": 6.7,
    "serving.doors.predictions": 6.7,
    "serving.doors.speech": 6.7,
    "serving.doors.tasks": 6.7,
    "serving.realtime": 6.7,
    "serving.web.app": 6.8,
    "serving.processes": 6.9,
    "serving.__main__": 6.9,
}
STRANGERS = (  # of each of these, none knows another
    {"models.dia", "models.musicgen"},
    {"prediction", "container", "serving", "training", "benchmarks"},
    {"predict", "container", "serving", "training", "benchmarks"},
    {"serving.doors.predictions", "serving.doors.speech", "serving.doors.tasks", "serving.realtime"},
)
# Rooms that must not need torch. models.engine takes numpy from a pipeline, and serving from that.
WITHOUT_TORCH = (
    "models.errors",
    "models.request",
    "models.threads",
    "models.inputs",
    "models.weights",
    "models.audio",
    "models.songs",
    "models.listening",
    "container",
    "serving",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    rooms = [ROOT / name for name in ("models", "prediction", "container", "serving", "training", "benchmarks")]
    return [ROOT / "predict.py", *(path for room in rooms if room.is_dir() for path in sorted(room.rglob("*.py")))]


def room_of(module: str) -> str | None:
    fitting = [room for room in FLOORS if module == room or module.startswith(room + ".")]
    return max(fitting, key=len, default=None)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Also inside functions, but not what stands under `if TYPE_CHECKING`, which is never imported."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from statements(child)


def imports(path: Path) -> set[str]:
    """Every module a file imports."""
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text())):
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
        assert module in ("models", "serving"), f"{module} has no floor; give its room one"
        return
    for imported in imports(path):
        there = room_of(imported)
        if there is None or there == here:
            continue
        assert FLOORS[there] <= FLOORS[here], f"{module} (floor {FLOORS[here]}) imports {imported} from above"


def among(strangers: set[str], module: str) -> str | None:
    """Which of them it is, or lies in."""
    return next((one for one in strangers if module == one or module.startswith(f"{one}.")), None)


@pytest.mark.parametrize("strangers", STRANGERS, ids=lambda strangers: " ".join(sorted(strangers)))
def test_families_and_doors_do_not_know_each_other(strangers: set[str]) -> None:
    for path in sources():
        here = among(strangers, module_name(path))
        for imported in imports(path) if here else ():
            assert among(strangers, imported) in (here, None), f"{module_name(path)} imports {imported}"


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_torch_stays_where_it_belongs(path: Path) -> None:
    here = room_of(module_name(path)) or ""
    if here.startswith(WITHOUT_TORCH) or here in ("models.engine", "predict"):
        assert not any(name.split(".")[0] == "torch" for name in imports(path)), path


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_no_file_outgrows_its_one_noun(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 310, f"{path.name} has two subjects by now; split it"
