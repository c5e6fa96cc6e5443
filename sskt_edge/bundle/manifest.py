"""A bundle's manifest.json as frozen models, checked as a whole before any other file is read."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from sskt_edge.bundle import older_manifest
from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.common import seal
from sskt_edge.common.errors import BundleError
from sskt_edge.tasks.score import Score, Share
from sskt_edge.tasks.tolerances import Tolerances

SCHEMA_VERSION: Literal[4] = 4


def _inside(name: str) -> str:
    """Check that `name` is a relative POSIX path that stays inside its folder on every system."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(sign in name for sign in "\\:\0"):
        raise ValueError(f"'{name}' is not a plain relative path inside the bundle")
    return name


def _one_part(name: str) -> str:
    if PurePosixPath(_inside(name)).name != name:
        raise ValueError(f"'{name}' is a path; expected a folder's name only")
    return name


def _known_task(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"unknown task '{name}'; this version knows {', '.join(TASKS)}")
    return name


FileName = Annotated[str, AfterValidator(_inside)]
FolderName = Annotated[str, AfterValidator(_one_part)]
TaskName = Annotated[str, AfterValidator(_known_task)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Bounds: these numbers decide how much memory is allocated, and the maker of the bundle chose them.
Side = Annotated[int, Field(ge=1, le=1024)]
_MOST_FRAMES, _MOST_BYTES = 64, 1 << 24  # of one image or clip
BatchSize = Annotated[int, Field(ge=1, le=1024)]
Count = Annotated[int, Field(ge=0, lt=1 << 62)]
# int8 as TensorRT and OpenVINO take it; int8-cpu as ONNX Runtime's CPU kernels do.
PrecisionName = Literal["fp32", "fp16", "int8", "int8-cpu"]
CALIBRATION_FILE = "calibration.txt"
ENGINES = "engines"
_AGAIN = "Copy the bundle again, or export it again."


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tool(_Frozen):
    """The program that wrote the manifest."""

    name: str
    version: str


class Lineage(_Frozen):
    """The hashes of what the bundle was made from.

    `sources` maps each source's name to its identity, and `licenses` to the license of its weights, where it is known.
    `probe_sha256` is the hash of the file of the probe that the network learned from; None if it learned from none.
    """

    recipe_sha256: Sha256
    data_sha256: Sha256
    unlabelled_sha256: Sha256 | None = None
    run: FolderName
    weights_sha256: Sha256
    onnx_sha256: Sha256
    sources: dict[str, str]
    licenses: dict[str, str] = {}
    probe_sha256: Sha256 | None = None


class Batch(_Frozen):
    """The batch sizes that the network is built for."""

    min: BatchSize
    opt: BatchSize
    max: BatchSize

    @model_validator(mode="after")
    def _in_order(self) -> Batch:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"expected min <= opt <= max, got {self.min}, {self.opt}, {self.max}")
        return self


class InputSpec(_Frozen):
    """The network's input: uint8 [N,*shape].

    Attributes:
        kind: the kind of item, such as "image"; golden items of other kinds are run in the same way.
        shape: the shape of one item, channels last: (S,S,3), or (T,S,S,3) for T frames.
        dtype: the type of the values.
        batch: the batch sizes that the network is built for.
    """

    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    shape: Annotated[tuple[Side, ...], Field(min_length=3, max_length=4)]
    dtype: Literal["uint8"] = "uint8"
    batch: Batch

    @model_validator(mode="after")
    def _bounded(self) -> InputSpec:
        if self.shape[-1] != 3:
            raise ValueError(f"expected a shape that ends in three channels, got {list(self.shape)}")
        if self.kind == "image" and (len(self.shape) != 3 or self.shape[0] != self.shape[1]):
            raise ValueError(f"expected a square [S,S,3], got {list(self.shape)}")
        if len(self.shape) == 4 and self.shape[0] > _MOST_FRAMES:
            raise ValueError(f"expected at most {_MOST_FRAMES} frames, got {self.shape[0]}")
        if math.prod(self.shape) > _MOST_BYTES:
            raise ValueError(f"expected at most {_MOST_BYTES:,} values, got {list(self.shape)}")
        return self


class Measured(_Frozen):
    """The answers of one file, run by one library at export, compared with those of the trained network.

    Attributes:
        backend: the library.
        provider: the device or execution provider that it ran on.
        versions: the versions of the libraries that took part.
        images: the number of images: the whole test set, or the golden images if the test set was not available.
        value: the value of the task's metric.
        interval: the 95 % interval of that value, provided that the images are a random sample.
        agreement: the share of decisions that equal the trained network's.
        flips: the number of images whose decision differs from the trained network's.
        max_abs: the largest absolute difference of a logit; None if one is not finite.
        latency_ms: the median time for one image, in milliseconds, on the machine that exported.
        reasons: why it is out of tolerance; empty if that was not shown.
        undecided: what could not be decided with so few images; empty if it is within tolerance.
    """

    backend: str
    provider: str
    versions: dict[str, str]
    images: Annotated[Count, Field(ge=1)]
    value: Share
    interval: tuple[Share, Share]
    agreement: Share
    flips: Count
    max_abs: Annotated[float, Field(ge=0)] | None
    latency_ms: Annotated[float, Field(gt=0)]
    reasons: list[str]
    undecided: list[str] = []

    @property
    def runner(self) -> str:
        """The library and what it ran on, such as "onnxruntime-cpu"."""
        return f"{self.backend}-{self.provider}"


class Calibration(_Frozen):
    """How the ranges of an int8 file were calibrated; the images themselves are listed in CALIBRATION_FILE.

    Attributes:
        images: the number of training images.
        method: how a range is computed from the observed values.
        layers: the number of layers that could be int8.
        kept: the layers that stay in fp32, the most sensitive first.
    """

    images: Annotated[Count, Field(ge=1)]
    method: str
    layers: Annotated[Count, Field(ge=1)]
    kept: list[str]


class PrecisionRecord(_Frozen):
    """One precision's file and its measurements.

    Attributes:
        file: the file's name, which ends in ".onnx".
        sha256: the hash of its content.
        bytes: its size in bytes.
        measured: one record for each runner that ran it.
        failed: runner → why it gave no answers. Such an entry is a failure of the bundle.
        calibration: the calibration of an int8 file.
    """

    file: Annotated[FileName, Field(pattern=r"\.onnx$")]
    sha256: Sha256
    bytes: Count
    measured: Annotated[list[Measured], Field(min_length=1)]
    failed: dict[str, str] = {}
    calibration: Calibration | None = None


class FileRecord(_Frozen):
    """The hash and the size of a file."""

    sha256: Sha256
    bytes: Count


class Manifest(_Frozen):
    """manifest.json. Every other file of the bundle is listed in `files`; the manifest carries its own hash.

    `task` says what labels mean, and `test` holds the trained network's result on its whole test set. `refused` gives
    the reason for each requested precision that is missing. `created`, `tool` and `libraries` belong to the last
    export, which may have kept files that an earlier export made with other versions.
    """

    schema_version: Literal[4]
    name: str
    created: AwareDatetime
    tool: Tool
    lineage: Lineage
    task: TaskName
    input: InputSpec
    classes: Annotated[list[str], Field(min_length=1, max_length=1 << 16)]
    target: str
    parameters: Count
    macs: Count
    test: Score | None
    parity: Tolerances
    precisions: dict[PrecisionName, PrecisionRecord]
    refused: dict[PrecisionName, str]
    libraries: dict[str, str]
    files: dict[FileName, FileRecord]
    _carries_hash: bool = PrivateAttr(True)

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        """Check that the hashes agree with each other and that nothing required is missing."""
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a name occurs twice")
        if "fp32" not in self.precisions:
            raise ValueError("precisions: 'fp32' is missing")
        if both := self.precisions.keys() & self.refused.keys():
            raise ValueError(f"refused: {', '.join(sorted(both))} is listed under precisions too")
        for name, record in self.precisions.items():
            if self.files.get(record.file) != FileRecord(sha256=record.sha256, bytes=record.bytes):
                raise ValueError(f"precisions.{name}: files does not list '{record.file}' with the same hash and size")
        if self.lineage.onnx_sha256 != self.precisions["fp32"].sha256:
            raise ValueError("lineage.onnx_sha256 is not the hash of the fp32 file")
        return self

    def as_bytes(self) -> bytes:
        """The content of manifest.json, with its own hash."""
        return seal.sealed_json(self.model_dump(mode="json"))

    @property
    def is_protected(self) -> bool:
        """Whether it carried its own hash when it was read; manifests of schema 2 carry none."""
        return self._carries_hash

    @property
    def failures(self) -> list[str]:
        """What failed when the bundle was made: a precision is missing, or a runner is out of tolerance."""
        missing = [f"no {precision}: {why}" for precision, why in self.refused.items()]
        wrong = [
            f"{precision} by {runner}: {reason}"
            for precision, record in self.precisions.items()
            for runner, reason in [
                *((one.runner, reason) for one in record.measured for reason in one.reasons),
                *record.failed.items(),
            ]
        ]
        return missing + wrong


def run_of(content: bytes) -> str | None:
    """The run that a manifest.json names, even if the rest of the file is not valid; None if it names none."""
    try:
        run = json.loads(content)["lineage"]["run"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return run if isinstance(run, str) else None


def parse(content: bytes) -> Manifest:
    """The content of manifest.json → Manifest. Its own hash is checked first.

    Raises:
        BundleError: it was changed, is not JSON or has a newer schema; a key is missing, unknown or has a wrong value;
            or its hashes do not agree with each other.
    """
    try:
        raw, carries_hash = seal.unsealed_json(content)
    except seal.BrokenSealError as error:
        raise BundleError(f"manifest.json cannot be trusted: {error}. {_AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"manifest.json is not JSON: {error}. {_AGAIN}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"manifest.json has schema version {version}; this sskt-edge reads up to {SCHEMA_VERSION}. "
            "Upgrade it: pip install --upgrade sskt-edge."
        )
    if isinstance(version, int) and version < older_manifest.OLDEST:
        raise BundleError(
            f"manifest.json is from an older sskt-edge (schema version {version}). Export the bundle again."
        )
    if isinstance(version, int) and version > older_manifest.UNSEALED and not carries_hash:
        raise BundleError(f"manifest.json cannot be trusted: {seal.LOST}. {_AGAIN}")
    if isinstance(version, int) and version < SCHEMA_VERSION:
        raw = older_manifest.today_from_older(raw)
    try:
        manifest = Manifest.model_validate(raw)
        manifest._carries_hash = carries_hash
        return manifest
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise BundleError(f"manifest.json is not valid: {found}. {_AGAIN}") from error
