"""sskt-edge: train a compact network with the knowledge of heavy ones, export it, prove it on the device.

From Python:

    import sskt_edge

    run = sskt_edge.train(sskt_edge.load_recipe("quickstart"))
    bundle = sskt_edge.export(run, "bundles/quickstart")
    session = sskt_edge.open_session(sskt_edge.open_bundle("bundles/quickstart"))
    logits = session.run(images)  # uint8 [N,H,W,3] → float32 [N,classes]

What is heavy is imported when it is first used: on a device, `open_bundle` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sskt_edge.common import telemetry
from sskt_edge.common.version import __version__

telemetry.switch_off()

if TYPE_CHECKING:
    from sskt_edge.bundle.bundle import open_bundle
    from sskt_edge.convert.bundle_from_run import bundle_from_run as export
    from sskt_edge.inference.open_session import open_session
    from sskt_edge.recipe.load import load_recipe
    from sskt_edge.targets.run_folder import read_run
    from sskt_edge.training.train import train

__all__ = ["__version__", "export", "load_recipe", "open_bundle", "open_session", "read_run", "train"]

_WHERE = {
    "export": ("sskt_edge.convert.bundle_from_run", "bundle_from_run"),
    "load_recipe": ("sskt_edge.recipe.load", "load_recipe"),
    "open_bundle": ("sskt_edge.bundle.bundle", "open_bundle"),
    "open_session": ("sskt_edge.inference.open_session", "open_session"),
    "read_run": ("sskt_edge.targets.run_folder", "read_run"),
    "train": ("sskt_edge.training.train", "train"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'sskt_edge' has no attribute '{name}'; it has: {', '.join(__all__)}")
    module, attribute = _WHERE[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """The public names too, which are not imported yet."""
    return sorted({*globals(), *__all__})
