from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import sskt_edge
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.export.pages import blocks, is_python

PACKAGE = Path(sskt_edge.__file__).parent
LAZY = [name for name in sskt_edge.__all__ if name != "__version__"]


def names_for_type_checkers() -> set[str]:
    """What the block under TYPE_CHECKING imports."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_the_public_list_is_complete_and_sorted() -> None:
    assert sskt_edge.__all__ == sorted(sskt_edge.__all__)
    assert set(LAZY) == names_for_type_checkers()


@pytest.mark.parametrize("name", LAZY)
def test_every_public_name_is_a_documented_function_with_types(name: str) -> None:
    function = getattr(sskt_edge, name)

    assert callable(function)
    assert inspect.getdoc(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(part.annotation is not inspect.Parameter.empty for part in signature.parameters.values())


def test_importing_the_package_imports_only_the_switch_of_telemetry() -> None:
    """Public names come when they are first used; a device has no torch for `train`, but opens bundles."""
    code = (
        "import sys, sskt_edge\n"
        "imported = {name for name in sys.modules if name.startswith('sskt_edge.')}\n"
        "light = {'sskt_edge.common', 'sskt_edge.common.telemetry', 'sskt_edge.common.version'}\n"
        "assert imported == light, imported\n"
        "sskt_edge.open_bundle\n"
        "assert 'sskt_edge.bundle.bundle' in sys.modules\n"
        "assert not {'torch', 'onnx', 'onnxruntime', 'sskt_edge.training'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tab_completion_shows_every_public_name() -> None:
    code = "import sskt_edge; assert set(sskt_edge.__all__) <= set(dir(sskt_edge)), dir(sskt_edge)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_sample_of_the_page_runs_where_there_is_no_int8(
    tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it but the training, in whose place stands a run that was trained before."""
    (sample,) = filter(is_python, blocks(PACKAGE.parent / "docs" / "python.md"))
    (training,) = [line for line in sample.splitlines() if "sskt_edge.train(" in line]
    monkeypatch.chdir(tmp_path)

    names: dict[str, Any] = {"run": tiny_run}
    exec(sample.replace(training, ""), names)

    assert names["bundle"].manifest.precisions.keys() == {"fp32"}
    assert "fp32 onnxruntime-cpu" in capsys.readouterr().out
    assert names["logits"].shape == (40, 10)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'open_bundel'; it has: .*open_bundle"):
        sskt_edge.open_bundel  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    assert sskt_edge.__version__ == metadata.version("sskt-edge")


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
