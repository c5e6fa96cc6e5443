"""An engine as a build would give it; its plan is only text, since copying one needs no GPU."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

from sskt_edge.bundle.manifest import Batch
from sskt_edge.inference.backends.tensorrt.build import Built
from sskt_edge.inference.backends.tensorrt.flavours import FlavourName
from sskt_edge.inference.backends.tensorrt.sidecar import Sidecar
from tests.bundle.tiny import SIDE

VERSIONS: dict[FlavourName, str] = {"tensorrt": "10.3.0", "tensorrt_rtx": "1.7.1.116"}
GPUS: dict[FlavourName, str | None] = {"tensorrt": "NVIDIA L4", "tensorrt_rtx": None}


def engine_of(flavour: FlavourName, precision: str, onnx_sha256: str) -> Built:
    """An engine of the tiny network, with a timing cache."""
    plan = f"plan of {flavour} {precision}".encode()
    sidecar = Sidecar(
        flavour=flavour,
        version=VERSIONS[flavour],
        gpu=GPUS[flavour],
        compute_capabilities=["8.9"],
        network=precision,
        batch=Batch(min=1, opt=4, max=5),
        shape=(SIDE, SIDE, 3),
        tf32=False,
        onnx_sha256=onnx_sha256,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        created=datetime.now(timezone.utc),
        tool_version="0.1.0",
        platform="linux-x86_64",
    )
    return Built(plan, sidecar, b"timing", "log", 1.0)
