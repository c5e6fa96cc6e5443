"""What holds the layers apart, read from the source of every file, imports inside functions included."""

from __future__ import annotations

import ast
import graphlib
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sskt_edge

PACKAGE = Path(sskt_edge.__file__).parent
TESTS = Path(__file__).parent

# Each room imports from itself and from the rooms above it in this list: imports go one way. Up to DEVICE, nothing
# imports torch or onnx: that is what a device installs.
ROOMS = (
    *("common", "catalogue", "tasks", "recipe", "images", "machine", "bundle", "inference", "evaluation", "doctor"),
    *("data", "targets", "convert", "sources", "methods", "training", "study", "cli"),
)
DEVICE = ROOMS[: ROOMS.index("doctor") + 1]
HEAVY = (
    *("torch", "torchvision", "onnx", "onnxruntime", "openvino", "onnxscript", "timm", "tensorboard"),
    *("tensorrt", "tensorrt_rtx", "cuda"),
    *("sklearn", "threadpoolctl", "mlxtend", "optuna", "scipy", "matplotlib", "imagehash", "pyarrow"),
)
VERBS = "train|export|eval|bench|predict|compare|sweep|labels|recipe|networks|doctor"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imported_modules(path: Path) -> set[str]:
    """The files of the package that a file imports anywhere, by their dotted names."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    own = [name for name in names if name.split(".")[0] == "sskt_edge"]
    # "from a.b import c" names a file c of the folder b, or something in the file b.
    return {name if name in MODULES else name.rpartition(".")[0] for name in own}


def test_every_file_lies_in_a_room() -> None:
    assert {room_of(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    above = ROOMS[: ROOMS.index(room) + 1]
    allowed = {module for module, path in MODULES.items() if room_of(path) in above}
    wrong = {
        module: sorted(imported_modules(path) - allowed)
        for module, path in MODULES.items()
        if room_of(path) == room and imported_modules(path) - allowed
    }

    assert wrong == {}


def test_no_files_import_each_other_in_a_circle() -> None:
    order = graphlib.TopologicalSorter({module: imported_modules(path) - {module} for module, path in MODULES.items()})

    order.prepare()  # CycleError names the files


def test_no_file_is_long() -> None:
    lines = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*FILES, *TESTS.rglob("*.py")]}

    assert {path: count for path, count in lines.items() if count > 350} == {}


def test_a_command_that_is_printed_quotes_its_names() -> None:
    """common.shell.command writes it; a name that is put behind "sskt-edge train " by hand may have blanks."""
    by_hand = [
        f"{path.relative_to(PACKAGE)}:{text.lineno}"
        for path in FILES
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.JoinedStr)
        for part, following in itertools.pairwise(text.values)
        if isinstance(following, ast.FormattedValue)
        and isinstance(part, ast.Constant)
        and re.search(rf"sskt-edge ({VERBS})( -{{0,2}}\w[\w-]*)* $", str(part.value))
    ]
    assert by_hand == []


def run(code: str) -> str:
    """A process of its own, since this one has torch already."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def light_modules() -> list[str]:
    files = [path for path in FILES if room_of(path) in {*DEVICE, "cli"}]
    return ["sskt_edge", *map(module_of, files)]


def test_what_runs_on_a_device_imports_nothing_heavy() -> None:
    modules = light_modules()
    assert {"sskt_edge.cli.main", "sskt_edge.inference.backends.onnxruntime.session", "sskt_edge.recipe.load"} <= set(
        modules
    )

    loaded = run(f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\nprint(*sys.modules)")

    assert not {name.partition(".")[0] for name in loaded.split()} & set(HEAVY)


def test_an_export_needs_torch_for_its_own_part_alone() -> None:
    loaded = run("import sys, sskt_edge.convert.bundle_from_run, sskt_edge.data.readers\nprint(*sys.modules)")

    assert "onnxruntime" in loaded.split()
    assert not {name.partition(".")[0] for name in loaded.split()} & {"torch", "torchvision", "onnxscript"}


HELP = """
import contextlib, io, json, sys
import typer
from sskt_edge.cli.main import app

def verbs(command, path):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from verbs(child, [*path, name])

said = {}
for path in verbs(typer.main.get_command(app), []):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        app([*path, "--help"], prog_name="sskt-edge", standalone_mode=False)
    said[" ".join(path)] = out.getvalue()
print(json.dumps({"said": said, "modules": list(sys.modules)}))
"""


def test_every_verb_has_help_that_loads_nothing_heavy() -> None:
    answer = json.loads(run(HELP))

    verbs = {
        "train",
        "export",
        "eval",
        "bench",
        "predict",
        "compare",
        "sweep",
        "networks",
        "doctor",
        "recipe list",
        "recipe show",
        "recipe new",
        *(f"labels {verb}" for verb in ("plan", "fill", "list", "verify", "prune")),
    }
    assert verbs <= set(answer["said"])
    for verb, text in answer["said"].items():
        assert text.startswith(f"Usage: sskt-edge {verb}".rstrip()), verb
        assert "--help" in text
        assert any(line.strip().endswith((".", ". ")) for line in text.splitlines()), f"{verb}: it says what it does"
    assert not {name.partition(".")[0] for name in answer["modules"]} & set(HEAVY)


def test_the_command_starts_without_what_its_verbs_need() -> None:
    loaded = run("import sys, sskt_edge.cli.main\nprint(*sys.modules)")

    assert not {name.partition(".")[0] for name in loaded.split()} & {*HEAVY, "numpy", "pydantic", "packaging"}


# A verb reads a whole recipe; so do the functions that open, record and resume one. All others take the part they use.
WHOLE_RECIPE = {
    *("sskt_edge.data.ready", "sskt_edge.training.environment", "sskt_edge.training.fill_store"),
    *("sskt_edge.training.inputs", "sskt_edge.training.label_queries", "sskt_edge.training.plan"),
    "sskt_edge.training.rank_sources",
    "sskt_edge.training.source_answers",
    *("sskt_edge.training.resume", "sskt_edge.training.train"),
}


def test_a_whole_recipe_is_handed_to_few() -> None:
    taking = {
        module
        for module, path in MODULES.items()
        if room_of(path) not in {"recipe", "study", "cli"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one.annotation) == "Recipe" for one in node.args.args if one.annotation)
    }

    assert taking == WHOLE_RECIPE
