"""The sidecar of an engine says what it was built from, by which library, and for which machine."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from sskt_edge.bundle.manifest import Batch, Sha256
from sskt_edge.common.errors import BundleError
from sskt_edge.inference.backends.tensorrt.flavours import Flavour, FlavourName

if TYPE_CHECKING:
    from sskt_edge.machine.device import CudaGpu

SCHEMA_VERSION: Literal[2] = 2
ComputeCapability = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
_MAX_FAULTS = 5
_MAX_BYTES = 1 << 16


class Sidecar(BaseModel):
    """The facts of one engine. It is a file of its own, since other loaders take nothing but the plan itself.

    Attributes:
        flavour: the library's module.
        version: the library's version.
        gpu: the one model that the engine runs on; None where it is not bound to one.
        compute_capabilities: those that the engine was built for; none says the library's own choice.
        network: the precision, by its name in the manifest.
        batch: the smallest, the best and the largest batch of its profile.
        shape: of one image, channels last: (S,S,3).
        tf32: whether fp32 may be computed in TF32.
        onnx_sha256: of the file that it was built from.
        plan_sha256: of the engine.
        created: when.
        tool_version: of sskt-edge.
        platform: system and processor, "linux-x86_64".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2] = SCHEMA_VERSION
    flavour: FlavourName
    version: str
    gpu: str | None
    compute_capabilities: list[ComputeCapability]
    network: str
    batch: Batch
    shape: tuple[PositiveInt, ...]
    tf32: bool
    onnx_sha256: Sha256
    plan_sha256: Sha256
    created: AwareDatetime
    tool_version: str
    platform: str

    def as_bytes(self) -> bytes:
        """The content of the file."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def parse(content: bytes, rebuild: str = "sskt-edge export BUNDLE --trt") -> Sidecar:
    """The content of a sidecar's file → Sidecar.

    Args:
        content: of the file.
        rebuild: the command that builds the engine again.

    Raises:
        BundleError: too large, not JSON, of a newer schema, or a key missing, unknown or with a wrong value.
    """
    again = f"Build the engine again: {rebuild}"
    if len(content) > _MAX_BYTES:
        raise BundleError(f"The engine's sidecar is not a file of sskt-edge: it has {len(content)} bytes. {again}")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"The engine's sidecar is not JSON: {error}. {again}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"The engine's sidecar has schema version {version}; this sskt-edge reads up to {SCHEMA_VERSION}. "
            "Upgrade it: pip install --upgrade sskt-edge."
        )
    try:
        return Sidecar.model_validate(_of_version_1(raw) if version == 1 else raw)
    except ValidationError as error:
        faults = error.errors()[:_MAX_FAULTS]
        found = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
        raise BundleError(f"The engine's sidecar is not valid: {found}. {again}") from error


def _of_version_1(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 1 of the schema had the height and the width of images in place of a shape; → today's."""
    others = {name: value for name, value in raw.items() if name not in ("height", "width")}
    return {**others, "schema_version": SCHEMA_VERSION, "shape": [raw.get("height"), raw.get("width"), 3]}


def this_platform() -> str:
    """System and processor of this machine, "linux-x86_64"."""
    return f"{platform.system()}-{platform.machine()}".lower()


def differences(sidecar: Sidecar, flavour: Flavour, gpu: CudaGpu | None) -> list[str]:
    """What of an engine does not match this machine, a sentence each; none says that it may be loaded.

    Without a GPU only an engine that is bound to one differs: whether another could run, nothing here can tell.
    """
    built, here = Flavour(sidecar.flavour, sidecar.version), str(flavour)
    found = []
    if built != flavour:
        found.append(f"It was built by {built}; here is {here}, and an engine fits one version only.")
    if sidecar.platform != this_platform():
        found.append(f"It was built on {sidecar.platform}; this is {this_platform()}.")
    if sidecar.gpu is not None and (gpu is None or gpu.name != sidecar.gpu):
        found.append(f"It was built for '{sidecar.gpu}'; here is {gpu.name if gpu else 'no GPU that answers'}.")
    if gpu is not None and not _runs_on(sidecar, gpu.compute_capability):
        targets = ", ".join(sidecar.compute_capabilities) or "8.0 and later"
        found.append(f"It was built for compute capability {targets}; '{gpu.name}' has {gpu.compute_capability}.")
    return found


def _runs_on(sidecar: Sidecar, capability: str) -> bool:
    if sidecar.compute_capabilities:
        return capability in sidecar.compute_capabilities
    # Left to itself TensorRT for RTX builds for Ampere and later. Not every later GPU is in the vendor's list, but the
    # list grows; a GPU that is not refuses the engine when it is loaded.
    return int(capability.partition(".")[0]) >= 8
