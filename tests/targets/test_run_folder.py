from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sskt_edge.common.errors import CheckpointError, RunError
from sskt_edge.targets.reference import reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import find_newest_run, find_runs
from sskt_edge.targets.spec import target_spec
from tests.sealed import changed, of_before

_FRESH_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from sskt_edge.targets.reference import reference_logits
from sskt_edge.targets.spec import target_spec
from sskt_edge.targets.run_folder import read_run
run = read_run(Path(sys.argv[1]))
golden = run.golden()
np.save(sys.argv[2], reference_logits(run.network, run.pixels, golden.images))
assert not any(name.startswith("sskt_edge.sskt") for name in sys.modules)
"""


@pytest.fixture
def run(tiny_run: TrainedNetwork, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(tiny_run.folder.path, tmp_path / "runs" / "tiny-copy")


@pytest.mark.slow
def test_stripped_weights_answer_to_the_bit_in_a_fresh_process(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FRESH_PROCESS, str(tiny_run.folder.path), str(tmp_path / "logits.npy")]
    subprocess.run(command, check=True, env=dict(os.environ))

    assert tiny_run.result.branches.parameters > 0
    assert np.array_equal(np.load(tmp_path / "logits.npy"), tiny_run.golden().logits)


def test_a_run_is_read_back_frozen_with_all_that_belongs_to_it(tiny_run: TrainedNetwork) -> None:
    found = read_run(tiny_run.folder.path)

    assert found.recipe == tiny_run.recipe
    assert found.result == tiny_run.result
    assert found.classes == tuple("0123456789")
    assert (found.pixels.size, found.pixels.mean) == (16, tiny_run.recipe.target.mean)
    assert not found.network.training
    assert not any(p.requires_grad for p in found.network.parameters())
    golden = found.golden()
    assert np.array_equal(reference_logits(found.network, found.pixels, golden.images), golden.logits)


def test_nothing_of_the_branches_lies_in_the_stripped_weights(tiny_run: TrainedNetwork) -> None:
    bare = target_spec("resnet20").build(10)

    assert set(tiny_run.network.state_dict()) == set(bare.state_dict())
    assert tiny_run.result.primary.parameters == sum(p.numel() for p in bare.parameters())
    weights = sum(value.numel() * value.element_size() for value in bare.state_dict().values())
    assert tiny_run.folder.primary.stat().st_size < weights + 20_000  # the names of the tensors


def test_a_path_without_a_run_offers_the_nearest(run: Path) -> None:
    with pytest.raises(RunError, match=r"No run at '.*tiny-copi'\. It has no recipe.toml. Nearest: 'tiny-copy'"):
        read_run(run.parent / "tiny-copi")


def test_an_unfinished_run_says_how_to_go_on(run: Path) -> None:
    (run / "result.json").unlink()

    with pytest.raises(RunError, match=r"is not finished. Continue with: sskt-edge train .*tiny-copy --resume"):
        read_run(run)


def test_changed_weights_are_refused(run: Path) -> None:
    content = bytearray((run / "primary.safetensors").read_bytes())
    content[-1] ^= 1
    (run / "primary.safetensors").write_bytes(content)

    with pytest.raises(RunError, match=r"primary.safetensors' was changed after training"):
        read_run(run)


def test_missing_weights_are_named(run: Path) -> None:
    (run / "primary.safetensors").unlink()

    with pytest.raises(RunError, match=r"primary.safetensors' is missing"):
        read_run(run)


def test_a_changed_golden_set_is_refused(run: Path) -> None:
    content = bytearray((run / "golden.safetensors").read_bytes())
    content[-1] ^= 1
    (run / "golden.safetensors").write_bytes(content)

    with pytest.raises(RunError, match=r"golden.safetensors' was changed after training"):
        read_run(run).golden()


@pytest.mark.parametrize("name", ["primary.safetensors", "golden.safetensors"])
def test_what_is_used_are_the_bytes_that_were_hashed(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file changes after it was hashed in a reading of its own."""
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        content = bytearray(read(path))
        if path.name == name:
            content[-1] ^= 1
        return bytes(content)

    monkeypatch.setattr(Path, "read_bytes", changed)
    with pytest.raises(RunError, match=rf"{name}' was changed after training"):
        read_run(run).golden()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"name": "tiny", "unknown": 1}'])
def test_a_broken_result_is_a_run_error(run: Path, text: str) -> None:
    (run / "result.json").write_text(text)

    with pytest.raises(RunError, match=r"result.json' is broken: "):
        read_run(run)


def test_a_result_of_other_classes_than_its_weights_is_refused(run: Path) -> None:
    with changed(run / "result.json") as result:
        result["classes"] = result["classes"][:-1]

    with pytest.raises(CheckpointError, match=r"fc.weight is \(10, 64\), must be \(9, 64\)"):
        read_run(run)


def test_a_result_that_was_changed_is_refused(run: Path) -> None:
    text = (run / "result.json").read_text()
    (run / "result.json").write_text(text.replace('"last"', '"best"'))

    with pytest.raises(RunError, match=r"result.json' cannot be trusted: .*SHA-256 differs"):
        read_run(run)


def test_a_changed_recipe_is_refused_though_it_means_the_same(run: Path) -> None:
    (run / "recipe.toml").write_text((run / "recipe.toml").read_text() + "\n")

    with pytest.raises(RunError, match=r"recipe.toml' was changed after the run was started"):
        read_run(run)


def test_a_result_without_its_own_hash_is_read_and_called_unprotected(run: Path) -> None:
    with changed(run / "result.json") as result:
        del result["recipe_file_sha256"]
    today = read_run(run)
    assert today.folder.unprotected(today.folder.result) == []
    of_before(run / "result.json")

    found = read_run(run)

    assert found.result == today.result
    (said,) = found.folder.unprotected(found.folder.result, found.folder.path / "none")
    assert str(found.folder.result) in said


def test_a_result_of_a_newer_version_asks_for_an_upgrade(run: Path) -> None:
    with changed(run / "result.json") as result:
        result["schema_version"] = 4

    with pytest.raises(RunError, match=r"newer sskt-edge.*pip install --upgrade"):
        read_run(run)


def test_the_newest_finished_run_is_found(run: Path) -> None:
    older = shutil.copytree(run, run.parent / "zzz-older")
    unfinished = shutil.copytree(run, run.parent / "unfinished")
    (unfinished / "result.json").unlink()
    for age, folder in enumerate((unfinished, run, older)):
        os.utime(folder / "recipe.toml", (1_000_000 - age, 1_000_000 - age))

    assert [found.path for found in find_runs(run.parent)] == [unfinished, run, older]
    assert find_newest_run(run.parent) == run


def test_without_a_finished_run_the_unfinished_one_is_named(run: Path) -> None:
    (run / "result.json").unlink()

    with pytest.raises(RunError, match=r"No finished run in .*tiny-copy' was not finished"):
        find_newest_run(run.parent)


def test_without_runs_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"No run in .* Make one: sskt-edge train RECIPE"):
        find_newest_run(tmp_path)


def test_reading_a_run_leaves_the_random_numbers_of_the_process_alone(tiny_run: TrainedNetwork) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)

    read_run(tiny_run.folder.path)

    assert torch.equal(torch.rand(4), expected)
