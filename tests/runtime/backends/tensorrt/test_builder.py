from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.runtime.backends.tensorrt import builder
from sskt_edge.runtime.backends.tensorrt.builder import start_timing_cache
from sskt_edge.runtime.backends.tensorrt.flavours import choose
from sskt_edge.runtime.backends.tensorrt.logger import logger_of

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


def test_it_does_not_begin_before_it_is_told_to(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", builder.__name__, str(tmp_path)], input=b"", check=True)
    assert list(tmp_path.iterdir()) == []
