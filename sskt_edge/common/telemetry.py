"""Switch off the telemetry of libraries before any of them is imported.

ONNX Runtime 1.29 and later keeps a device ID and a database of events in the user's home and sends them to its maker.
huggingface_hub and hf_xet, which timm uses for downloads, report usage. OpenVINO has no such switch; its telemetry
is kept from being imported (inference/backends/openvino/versions.py).
"""

from __future__ import annotations

import os
import sys

_ONNX_RUNTIME = "ORT_DISABLE_TELEMETRY"
SWITCHES = {_ONNX_RUNTIME: "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def switch_off() -> None:
    """Set the variables that the libraries read, for this process and those that it starts.

    A variable that the user has set is kept. ONNX Runtime reads its variable once, on import; if it was imported
    before, its API is used to switch off reports of later sessions.
    """
    chosen = _ONNX_RUNTIME in os.environ
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    loaded = sys.modules.get("onnxruntime")
    if loaded is not None and not chosen:
        loaded.disable_telemetry_events()
