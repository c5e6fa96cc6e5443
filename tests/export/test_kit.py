"""The deployment kit's pages say what the code does: its commands, files, tolerances, paths and Python."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import sskt_edge
from sskt_edge.bundle.bundle import MANIFEST
from sskt_edge.bundle.golden import FILE_NAME as GOLDEN
from sskt_edge.bundle.manifest import CALIBRATION_FILE
from sskt_edge.common import errors
from sskt_edge.convert import older_bundle
from sskt_edge.inference import bundle_engines as engines
from sskt_edge.inference.backends.tensorrt import trust
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.session import INPUT_NAME
from sskt_edge.recipe.export_options import with_options
from sskt_edge.tasks.tolerances import Tolerances
from tests.bundle.tiny import CLASSES, coloured, write_bundle
from tests.conftest import tiny_recipe
from tests.export.engine import engine_of
from tests.export.pages import (
    KIT,
    PAGES,
    blocks,
    every_option,
    is_python,
    is_shell,
    name_of,
    rows_of,
    runs_of,
    shell_lines,
    spans,
    text_of,
    verb_of,
)

pytestmark = pytest.mark.docs

README = KIT / "README.md"
FILES = sorted(path for path in KIT.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
# With what a file of each kind begins where its first line is for people: a page, a docstring, a comment.
FIRST_LINE = {".md": "", ".py": '"""', ".Dockerfile": "# "}
DEVICE_PAGES = ("jetson-jetpack6.md", "jetson-jetpack7.md", "rtx-desktop.md", "nvidia-server.md", "cpu.md")
COMMANDS = [(page, words) for page in PAGES for words in runs_of(page, "sskt-edge")]
# Of other programs: pip, venv, docker, Triton, lscpu. Those of trtexec are checked against its sources below.
FOREIGN = {
    *("--no-deps", "--index-url", "--system-site-packages", "--gpus", "--runtime", "--group-add", "--cpus"),
    *("--exit-on-error", "--all", "--extended", "--help"),
}
# NVIDIA/TensorRT, samples/common/sampleOptions.cpp, of the branches release/10.3 to 10.16, and of 11.0 and 11.1.
TRTEXEC = {
    *(
        "--onnx",
        "--minShapes",
        "--optShapes",
        "--maxShapes",
        "--shapes",
        "--noTF32",
        "--timingCacheFile",
        "--saveEngine",
    ),
    *("--profilingVerbosity", "--skipInference", "--loadEngine", "--warmUp", "--duration", "--percentile"),
}
TRTEXEC_10, TRTEXEC_11 = {"--stronglyTyped", "--useSpinWait"}, {"--includeDataTransfers", "--noCudaGraph"}
# https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/performance/benchmarking.html and optimization.html
TENSORRT_RTX = {
    *(
        "--onnx",
        "--minShapes",
        "--optShapes",
        "--maxShapes",
        "--shapes",
        "--saveEngine",
        "--skipInference",
        "--loadEngine",
    ),
    *("--includeDataTransfers", "--rtxCudaGraphStrategy", "--specializeStrategyDS", "--warmUp", "--duration"),
}


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def test_there_is_a_page_for_every_device_and_the_entry_links_them_all() -> None:
    assert {name_of(page) for page in PAGES} >= set(DEVICE_PAGES) | {"trtexec.md", "triton/README.md"}
    linked = set(re.findall(r"\]\(([^)]+)\)", text_of(README)))
    assert linked == {name_of(page) for page in PAGES} - {"README.md"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_first_line_says_what_was_not_run(path: Path) -> None:
    first = text_of(path).splitlines()[0]
    assert first.startswith(FIRST_LINE[path.suffix])
    assert re.search(r"\b(no|not)\b", first, re.IGNORECASE)
    assert re.search(r"\b(run|built|served)\b", first, re.IGNORECASE)


@pytest.mark.parametrize("name", DEVICE_PAGES)
def test_a_device_page_goes_from_set_up_to_faults(name: str) -> None:
    headings = re.findall(r"^## (.+)$", text_of(KIT / name), re.MULTILINE)
    assert headings == ["Set up", "Engines", "Prove", "Measure", "Use", "If it fails"]


@pytest.mark.parametrize("words", [words for _, words in COMMANDS], ids=[name_of(page) for page, _ in COMMANDS])
def test_every_command_parses(words: list[str]) -> None:
    command, name, rest = verb_of(words)
    command.make_context(name, rest)  # raises what a user would get; nothing is run


def test_the_pages_call_every_verb_of_the_way_to_a_device() -> None:
    for name in DEVICE_PAGES:
        verbs = {words[0] for words in runs_of(KIT / name, "sskt-edge")}
        assert verbs >= {"doctor", "eval", "bench", "predict"}, name
        assert ("export" in verbs) == (name != "cpu.md")


def test_what_is_set_at_export_is_a_key_of_the_recipe() -> None:
    found = [words[at + 1] for _, words in COMMANDS for at, word in enumerate(words) if word == "--set"]
    assert found
    with_options(tiny_recipe(), overrides=found)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_in_the_text_exist(page: Path) -> None:
    known = every_option() | FOREIGN | (TRTEXEC | TRTEXEC_10 | TRTEXEC_11 if page.name == "trtexec.md" else set())
    said = {word.partition("=")[0] for span in spans(page) for word in span.split() if word.startswith("--")}
    removed = {"--fp16", "--int8"} if page.name == "trtexec.md" else set()
    assert said - removed <= known


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_shell_blocks_are_shell(page: Path) -> None:
    for block in filter(is_shell, blocks(page)):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.stderr == "", block


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_into_the_kit(page: Path) -> None:
    """The wheel carries the kit alone, so nothing of it may point outside."""
    for link in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        target = (page.parent / link).resolve()
        assert target.is_file(), link
        assert target.is_relative_to(KIT)


def test_addresses_are_known_ones() -> None:
    found = {host for page in PAGES for host in re.findall(r"https?://([^/:`\s]+)", text_of(page))}
    assert found == {"localhost", "pypi.jetson-ai-lab.io"}


def test_the_bundle_s_files_are_those_that_the_code_writes() -> None:
    plain = {MANIFEST, GOLDEN, CALIBRATION_FILE, *older_bundle.FILES.values()}
    rows = {row[0].strip("`"): row[1] for row in rows_of(README, "file")}
    assert rows.keys() == plain | {"engines/…"}

    told = rows["engines/…"]
    assert "`<flavour>-<version>-<GPU or any>-<precision>.plan`" in told
    built = engine_of("tensorrt", "fp16", "0" * 64)
    stems, endings = zip(*(name.rsplit(".", 1) for name in engines.files_of(built)), strict=True)
    assert set(stems) == {"engines/tensorrt-10.3.0-nvidia-l4-fp16"}
    assert {f".{ending}" for ending in endings} == {".plan", *re.findall(r"`(\.\w+)`", told)}

    named = re.compile(r"\b(?:model[\w.-]*\.onnx|manifest\.json|golden\.safetensors|calibration\.txt)\b")
    assert {name for page in PAGES for name in named.findall(text_of(page))} <= plain


def test_the_tolerances_are_those_of_the_code() -> None:
    told = {row[0].strip("`").removeprefix("export.parity."): row[1] for row in rows_of(README, "key")}
    limits = set(map(float, re.findall(r"[\d.]+", told.pop("fp32_difference.BACKEND_PROVIDER"))))

    known = Tolerances().model_dump()
    assert limits == set(known.pop("fp32_difference").values())
    assert {key: float(value) for key, value in told.items()} == known


def test_the_exit_codes_are_those_of_the_code() -> None:
    told = {int(code) for row in rows_of(README, "exit code") for code in row[0].split(",")}
    signals = {errors.Interrupted("", number).exit_code for number in (2, 15)}
    assert told == {0, errors.WorkError.exit_code, errors.InputError.exit_code, *signals}


def test_the_list_of_own_engines_lies_where_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert f"`{str(trust.list_path()).replace('/home/user', '~')}`" in text_of(README)
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert f"`{str(trust.list_path()).replace('/elsewhere', '$XDG_STATE_HOME')}`" in text_of(README)


def test_the_wheel_is_called_as_this_version_is() -> None:
    found = {name for page in PAGES for name in re.findall(r"sskt_edge-[\w.-]+\.whl", text_of(page))}
    assert found == {f"sskt_edge-{sskt_edge.__version__}-py3-none-any.whl"}


def python_blocks() -> list[tuple[Path, str]]:
    return [(page, block) for page in PAGES for block in blocks(page) if is_python(block)]


def test_sessions_in_the_python_of_the_pages_are_opened_as_they_can_be() -> None:
    calls = [
        node
        for _, block in python_blocks()
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sskt_edge.open_session"
    ]
    assert len(calls) == len(DEVICE_PAGES) + 1
    for call in calls:
        assert ast.unparse(call.args[0]) == "bundle"
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
        inspect.signature(open_session).bind(None, *map(ast.literal_eval, call.args[1:]), **given)


@pytest.mark.parametrize(("name", "prints"), [("README.md", "blue\n"), ("cpu.md", "")])
def test_the_python_of_a_page_runs(
    name: str, prints: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "NAME")
    Image.fromarray(coloured("blue", 1)).resize((40, 30)).save(tmp_path / "image.jpg")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for page, block in python_blocks():
        if name_of(page) == name:
            exec(compile(block, name, "exec"), found)

    assert found["logits"].shape[1] == len(CLASSES)
    assert capsys.readouterr().out == prints


def test_trtexec_gets_its_own_options_and_the_networks_profile() -> None:
    page = KIT / "trtexec.md"
    of_tensorrt, of_rtx = runs_of(page, "trtexec"), runs_of(page, "tensorrt_rtx")
    every = [*of_tensorrt, *of_rtx]
    for words in of_tensorrt:
        assert options(words) <= TRTEXEC | TRTEXEC_10 or options(words) <= TRTEXEC | TRTEXEC_11
    for words in of_rtx:
        assert options(words) <= TENSORRT_RTX | {"--help"}
    shapes = [word.partition("=")[2] for words in every for word in words if "Shapes=" in word or "shapes=" in word]
    assert len(shapes) >= 9
    for shape in shapes:
        name, _, sizes = shape.partition(":")
        _, height, width, channels = map(int, sizes.split("x"))
        assert (name, channels) == (INPUT_NAME, 3)
        assert height == width


def test_the_python_that_prepares_an_image_for_curl_makes_its_pixels(tmp_path: Path) -> None:
    Image.fromarray(coloured("green", 1)).save(tmp_path / "one.png")
    (line,) = [line for line in shell_lines(KIT / "triton" / "README.md") if line.startswith("python -c")]
    command = line.replace("python", sys.executable, 1).replace("IMAGE.jpg S", "one.png 8")
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "one.rgb").read_bytes() == coloured("green", 1).tobytes()
