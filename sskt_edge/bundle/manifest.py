"""What a bundle says of itself: manifest.json as frozen models, checked as a whole before any other file is read."""

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
    """A relative POSIX path that stays inside its folder on every system."""
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
# Bounds, since what follows takes memory by these numbers, which the maker of the bundle chose.
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
    """What wrote the manifest."""

    name: str
    version: str


class Lineage(_Frozen):
    """What the bundle was made from, by hash; `sources` maps each source's name to what identifies it."""

    recipe_sha256: Sha256
    data_sha256: Sha256
    unlabelled_sha256: Sha256 | None = None
    run: FolderName
    weights_sha256: Sha256
    onnx_sha256: Sha256
    sources: dict[str, str]


class Batch(_Frozen):
    """The batch sizes that the network is made for."""

    min: BatchSize
    opt: BatchSize
    max: BatchSize

    @model_validator(mode="after")
    def _in_order(self) -> Batch:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"expected min <= opt <= max, got {self.min}, {self.opt}, {self.max}")
        return self


class InputSpec(_Frozen):
    """What the network takes: uint8 [N,*shape].

    Attributes:
        kind: what a shape holds: "image"; or another, whose golden images are run all the same.
        shape: of one image, channels last: (S,S,3); (T,S,S,3) of T frames.
        dtype: of the values.
        batch: the sizes that the network is made for.
    """

    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    shape: Annotated[tuple[Side, ...], Field(min_length=3, max_length=4)]
    dtype: Literal["uint8"] = "uint8"
    batch: Batch

    @model_validator(mode="after")
    def _bounded(self) -> InputSpec:
        if self.shape[-1] != 3:
            raise ValueError(f"expected three channels, the last of the shape, got {list(self.shape)}")
        if self.kind == "image" and (len(self.shape) != 3 or self.shape[0] != self.shape[1]):
            raise ValueError(f"expected a square [S,S,3], got {list(self.shape)}")
        if len(self.shape) == 4 and self.shape[0] > _MOST_FRAMES:
            raise ValueError(f"expected at most {_MOST_FRAMES} frames, got {self.shape[0]}")
        if math.prod(self.shape) > _MOST_BYTES:
            raise ValueError(f"expected at most {_MOST_BYTES:,} values, got {list(self.shape)}")
        return self


class Measured(_Frozen):
    """What one file answered when it was made, run by one library, against the trained network.

    Attributes:
        backend: the library.
        provider: what it ran on.
        versions: of the libraries that took part.
        images: how many; the whole test set, or the golden images where the test set was not there.
        value: the task's metric.
        interval: where its true value lies, with 95 %, if the images are a fair draw.
        agreement: the share of decisions that are the trained network's.
        flips: how many images have a decision that is not the trained network's.
        max_abs: the largest difference of a logit; None where one is not finite.
        latency_ms: the median of one image, in milliseconds, on the machine that exported.
        reasons: why it is out of tolerance; empty where that was not shown.
        undecided: what the images were too few to tell; empty where it holds.
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
        """Such as "onnxruntime-cpu"."""
        return f"{self.backend}-{self.provider}"


class Calibration(_Frozen):
    """Where the ranges of an int8 file come from; the images themselves are listed in CALIBRATION_FILE.

    Attributes:
        images: how many training images.
        method: how a range is taken from their values.
        layers: how many layers could be int8.
        kept: the layers that are left in fp32, the most sensitive first.
    """

    images: Annotated[Count, Field(ge=1)]
    method: str
    layers: Annotated[Count, Field(ge=1)]
    kept: list[str]


class PrecisionRecord(_Frozen):
    """One precision's file, and what was measured with it.

    Attributes:
        file: its name, which ends in ".onnx".
        sha256: its content.
        bytes: its size.
        measured: by which runners it was run, and how it answered.
        failed: runner → why it gave no answers; a failure of the bundle.
        calibration: of int8.
    """

    file: Annotated[FileName, Field(pattern=r"\.onnx$")]
    sha256: Sha256
    bytes: Count
    measured: Annotated[list[Measured], Field(min_length=1)]
    failed: dict[str, str] = {}
    calibration: Calibration | None = None


class FileRecord(_Frozen):
    """A file's content, by hash, and its size."""

    sha256: Sha256
    bytes: Count


class Manifest(_Frozen):
    """manifest.json. Every other file of the bundle is listed in `files`; the manifest carries its own hash.

    `task` says what labels mean, `test` what the trained network reached on its whole test set. `refused` says of each
    precision that was asked for and is not there, why. `created`, `tool` and `libraries` are those of the last export:
    it may have kept files that an earlier one made with other versions.
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
        """The chain of hashes holds and nothing that is needed is left out."""
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a name stands there twice")
        if "fp32" not in self.precisions:
            raise ValueError("precisions: 'fp32' is missing")
        if both := self.precisions.keys() & self.refused.keys():
            raise ValueError(f"refused: {', '.join(sorted(both))} stands in precisions too")
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
        """Whether it was read with its own hash; manifests of schema 2 have none."""
        return self._carries_hash

    @property
    def failures(self) -> list[str]:
        """What did not hold when the bundle was made: a precision that is missing, a runner out of tolerance."""
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
    """Which run a bundle is of, from its manifest.json, whatever else of it does not hold; None if it does not say."""
    try:
        run = json.loads(content)["lineage"]["run"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return run if isinstance(run, str) else None


def parse(content: bytes) -> Manifest:
    """The content of manifest.json → Manifest; its own hash is checked before anything else.

    Raises:
        BundleError: changed, no JSON, of a newer schema, a key missing, unknown or with a wrong value, or a broken
            chain.
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
        raise BundleError(f"manifest.json is of an older sskt-edge (schema version {version}). Export it again.")
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
