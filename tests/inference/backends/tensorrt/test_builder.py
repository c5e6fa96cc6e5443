from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import WorkError
from sskt_edge.inference.backends.tensorrt import builder
from sskt_edge.inference.backends.tensorrt.builder import keep_timing_cache, set_profile, start_timing_cache
from sskt_edge.inference.backends.tensorrt.flavours import choose
from sskt_edge.inference.backends.tensorrt.logger import logger_of

pytest.importorskip("tensorrt_rtx")


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
@pytest.mark.parametrize("content", [b"", b"of no use" * 100], ids=["none", "broken"])
def test_a_timing_cache_that_is_of_no_use_starts_an_empty_one(content: bytes) -> None:
    # TensorRT for RTX keeps the calls of TensorRT, though they measure nothing.
    trt = choose("tensorrt_rtx").module()
    config = trt.Builder(logger_of(trt)).create_builder_config()
    start_timing_cache(config, content)
    kept = bytes(config.get_timing_cache().serialize())
    assert kept and b"of no use" not in kept


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_the_timing_cache_of_a_build_replaces_an_older_one(tmp_path: Path) -> None:
    trt = choose("tensorrt_rtx").module()
    config = trt.Builder(logger_of(trt)).create_builder_config()
    path = tmp_path / "timing.cache"
    path.write_bytes(b"measured earlier")
    assert config.get_timing_cache() is None
    keep_timing_cache(config, path)
    assert path.read_bytes() == b"measured earlier"
    start_timing_cache(config, b"")
    keep_timing_cache(config, path)
    assert path.read_bytes() == bytes(config.get_timing_cache().serialize())


def test_batches_that_the_library_refuses_end_with_what_it_said() -> None:
    trt = choose("tensorrt_rtx").module()
    log = builder.build_log(trt)
    one = trt.Builder(log)
    no_order = Batch.model_construct(min=4, opt=2, max=1)
    with pytest.raises(WorkError, match=r"batches of 4, 2 and 1 images of \[8, 8, 3\]: .*MIN<=OPT<=MAX.*export\.batch"):
        set_profile(one, one.create_builder_config(), "images", (8, 8, 3), no_order, log)


def test_it_does_not_begin_before_it_is_told_to(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", builder.__name__, str(tmp_path)], input=b"", check=True)
    assert list(tmp_path.iterdir()) == []
