"""Runs that earlier versions trained are exported by today's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.convert.bundle_from_run import bundle_from_run
from sskt_edge.inference.open_session import open_session
from sskt_edge.recipe.export_options import with_options
from sskt_edge.targets.run_folder import read_run
from tests.older import RUNS, unpacked


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_fp32_file_of_an_older_run_answers_as_its_golden_set(name: str, tmp_path: Path) -> None:
    run = read_run(unpacked(name, tmp_path))
    bundle = bundle_from_run(replace(run, recipe=with_options(run.recipe, ["fp32"], ["cpu"])), tmp_path / "bundle")

    golden = run.golden()
    assert bundle.manifest.input.shape == golden.images.shape[1:] == (16, 16, 3)
    logits = open_session(bundle, threads=1).run(golden.images)
    np.testing.assert_allclose(logits, golden.logits, atol=1e-4 * np.abs(golden.logits).max())
