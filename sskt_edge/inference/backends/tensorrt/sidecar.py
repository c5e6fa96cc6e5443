"""An engine's sidecar file says what the engine was built from, by which library, and for which machine."""

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
    """The facts about one engine, in a separate file, since other loaders accept only the plan itself.

    Attributes:
        flavour: the library's module.
        version: the library's version.
        gpu: the GPU model that the engine is bound to; None if it is not bound to one.
        compute_capabilities: those that the engine was built for; empty if the library chose.
        network: the precision, by its name in the manifest.
        batch: the smallest, the optimal and the largest batch of its profile.
        shape: the shape of one image, channels last: (S,S,3).
        tf32: whether fp32 may be computed in TF32.
        onnx_sha256: the hash of the file that it was built from.
        plan_sha256: the hash of the engine.
        created: the time of the build.
        tool_version: the version of sskt-edge.
        platform: the system and processor, such as "linux-x86_64".
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
    """The content of a sidecar file → Sidecar.

    Args:
        content: the bytes of the file.
        rebuild: the command that builds the engine again.

    Raises:
        BundleError: it is too large, is not JSON or has a newer schema; or a key is missing, unknown or has a wrong
            value.
    """
    again = f"Build the engine again: {rebuild}"
    if len(content) > _MAX_BYTES:
        raise BundleError(f"The engine's sidecar was not written by sskt-edge: it has {len(content)} bytes. {again}")
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
    """Convert from version 1 of the schema, which had the height and width of images in place of a shape."""
    others = {name: value for name, value in raw.items() if name not in ("height", "width")}
    return {**others, "schema_version": SCHEMA_VERSION, "shape": [raw.get("height"), raw.get("width"), 3]}


def this_platform() -> str:
    """The system and processor of this machine, such as "linux-x86_64"."""
    return f"{platform.system()}-{platform.machine()}".lower()


def differences(sidecar: Sidecar, flavour: Flavour, gpu: CudaGpu | None) -> list[str]:
    """One sentence for each way in which an engine does not match this machine; it may be loaded if there are none.

    Without a GPU only an engine that is bound to a GPU differs: for the others there is nothing to compare with.
    """
    built, here = Flavour(sidecar.flavour, sidecar.version), str(flavour)
    found = []
    if built != flavour:
        found.append(f"It was built by {built}, but {here} is installed here; an engine fits one version only.")
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
    # By default TensorRT for RTX builds for Ampere and later. Not every later GPU is in the vendor's list yet; a GPU
    # that is not in it refuses the engine when it is loaded.
    return int(capability.partition(".")[0]) >= 8
