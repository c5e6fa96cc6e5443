"""The TensorRT engines of a bundle: built here from its ONNX files, opened only if they fit and are trusted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.bundle.manifest import ENGINES
from sskt_edge.common.errors import BundleError, StorageError
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.shell import command
from sskt_edge.inference.backends.tensorrt import cuda, flavours, trust
from sskt_edge.inference.backends.tensorrt.build import Built, build_engine
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.backends.tensorrt.session import TensorRtSession
from sskt_edge.inference.backends.tensorrt.sidecar import Sidecar, differences, parse
from sskt_edge.inference.session import Session

# TensorRT does not support the files that are made for ONNX Runtime's CPU kernels alone.
PRECISIONS = ("fp32", "fp16", "int8")


class BundleEngine(NamedTuple):
    """An engine of a bundle: the name of its plan in the bundle, and its sidecar."""

    plan: str
    sidecar: Sidecar


class BundleEngines(NamedTuple):
    """The engines of a bundle, whatever machine they were built for.

    Attributes:
        whole: the engines that match their sidecars.
        broken: plan → error, for each plan whose sidecar is missing or broken, or belongs to another plan or ONNX file.
    """

    whole: list[BundleEngine]
    broken: dict[str, BundleError]

    def broken_of(self, precision: str) -> list[str]:
        """The broken plans of a precision, judged by their names, and those whose names tell no precision."""
        named = {plan: plan.removesuffix(".plan").rpartition("-")[2] for plan in self.broken}
        return [plan for plan, name in named.items() if name == precision or name not in PRECISIONS]


def engines(bundle: Bundle) -> list[BundleEngine]:
    """The engines of a bundle, whatever machine they were built for.

    Raises:
        BundleError: one of them is broken.
    """
    whole, broken = look_at_engines(bundle)
    for error in broken.values():
        raise error
    return whole


def look_at_engines(bundle: Bundle) -> BundleEngines:
    """The engines of a bundle, with the broken ones listed separately."""
    found = BundleEngines([], {})
    for name in bundle.manifest.files:
        if name.startswith(f"{ENGINES}/") and name.endswith(".plan"):
            try:
                found.whole.append(_engine(bundle, name))
            except BundleError as error:
                found.broken[name] = error
    return found


def build_engines(
    bundle: Bundle,
    precisions: Sequence[str] | None = None,
    flavour: str | None = None,
    compute_capabilities: Sequence[str] = (),
    progress: Progress = QUIET,
) -> tuple[Bundle, dict[str, Built]]:
    """Build engines into a bundle with the installed TensorRT; engines for the same library and GPU are replaced.

    Each engine is written as soon as it is built; broken engines of its precision are then removed from the bundle.

    Args:
        bundle: the bundle that has the ONNX files and receives the engines.
        precisions: the precisions to build; None means all in the bundle that TensorRT supports.
        flavour: which TensorRT to use; by default the one that fits this machine.
        compute_capabilities: the GPUs to build for, if the library builds ahead of time.
        progress: draws the bars.

    Returns:
        The bundle, opened again, and what was built.

    Raises:
        BundleError: the bundle has no such precision, or a file was changed.
        MissingExtraError: no TensorRT is installed.
        NetworkError: TensorRT does not support a network; the engines that were built before it are in the bundle.
        WorkError: a build failed; the engines that were built before it are in the bundle.
    """
    chosen = flavours.choose(flavour)
    manifest = bundle.manifest
    wanted = [name for name in PRECISIONS if name in manifest.precisions] if precisions is None else precisions
    built: dict[str, Built] = {}
    records = {precision: bundle.precision(precision) for precision in wanted}
    if others := [precision for precision in wanted if precision not in PRECISIONS]:
        raise BundleError(f"TensorRT does not support {', '.join(others)}; it supports: {', '.join(PRECISIONS)}.")
    for precision, record in records.items():
        one = build_engine(
            bundle.read(record.file),
            shape=manifest.input.shape,
            batch=manifest.input.batch,
            network=precision,
            flavour=chosen,
            compute_capabilities=compute_capabilities,
            timing_cache=_timing_cache(bundle, chosen, precision),
            progress=progress,
        )
        built[precision] = one
        files = files_of(one)
        # Add it to the list first: an entry for an engine that is not in a bundle yet does no harm.
        _remember([content for name, content in files.items() if name.endswith((".plan", ".timing"))], progress)
        bundle = bundle.with_files(files, progress, _broken_files(bundle, precision))
    return bundle, built


def open_engine(bundle: Bundle, precision: str, trust_engines: bool = False) -> Session:
    """A session of the bundle's engine for this machine.

    Raises:
        BundleError: the bundle has no engine of that precision, or none that fits this machine and is trusted.
        MissingExtraError: no TensorRT is installed.
        InputError: no GPU answers.
    """
    again = f"Build one here: {command('export', bundle.path, '--trt', '--precision', precision)}"
    found = look_at_engines(bundle)
    own = [engine for engine in found.whole if engine.sidecar.network == precision]
    reasons = [str(found.broken[plan]) for plan in found.broken_of(precision)]
    if not own:
        raise BundleError(" ".join([f"'{bundle.path}' has no engine of {precision}.", *reasons, again]))
    gpu = cuda.need_device()
    for plan, sidecar in own:
        flavour = next((one for one in flavours.installed() if one.name == sidecar.flavour), None)
        faults = differences(sidecar, flavour or flavours.choose(), gpu)
        if faults:
            reasons.append(f"{plan}: {' '.join(faults)}")
        elif not trust_engines and not trust.is_own(sidecar.plan_sha256):
            reasons.append(
                f"{plan}: it was not built by this user on this machine. An engine is a program that runs as you do; "
                f"if you trust the maker of the bundle, use --trust-engines."
            )
        else:
            takes = bundle.manifest.input
            return TensorRtSession(
                bundle.read(plan),
                takes.shape,
                takes.batch.max,
                flavour=flavour or flavours.choose(),
                precision=precision,
                built_by=Flavour(sidecar.flavour, sidecar.version),
            )
    raise BundleError(f"No engine of {precision} in '{bundle.path}' can be opened here. {' '.join(reasons)} {again}")


def _engine(bundle: Bundle, plan: str) -> BundleEngine:
    rebuild = command("export", bundle.path, "--trt")
    where, again = f"'{bundle.path / plan}'", f"Build it again: {rebuild}"
    sidecar_name = f"{plan.removesuffix('.plan')}.json"
    if sidecar_name not in bundle.manifest.files:
        raise BundleError(f"{where} has no sidecar. {again}")
    sidecar = parse(bundle.read(sidecar_name), rebuild)
    if sidecar.plan_sha256 != bundle.manifest.files[plan].sha256:
        raise BundleError(f"{where} is not the engine that its sidecar describes. {again}")
    record = bundle.manifest.precisions.get(sidecar.network)  # type: ignore[call-overload]
    if record is None or sidecar.onnx_sha256 != record.sha256:
        raise BundleError(f"{where} was built from another {sidecar.network} file than the bundle's. {again}")
    return BundleEngine(plan, sidecar)


def _broken_files(bundle: Bundle, precision: str) -> list[str]:
    """The files of the broken engines of a precision."""
    stems = {plan.removesuffix(".plan") for plan in look_at_engines(bundle).broken_of(precision)}
    return [name for name in bundle.manifest.files if name.rpartition(".")[0] in stems]


def _remember(contents: Sequence[bytes], progress: Progress) -> None:
    """Add engines to the list of those built here. They are usable even if the list cannot be written."""
    try:
        for content in contents:
            trust.remember(hashlib.sha256(content).hexdigest(), progress)
    except StorageError as error:
        progress.say(f"these engines will need --trust-engines, since the list of own ones cannot be written: {error}")


def files_of(built: Built) -> dict[str, bytes]:
    """The files of an engine, by their names in the bundle."""
    sidecar = built.sidecar
    stem = _stem(sidecar.flavour, sidecar.version, sidecar.gpu, sidecar.network)
    files = {
        f"{stem}.plan": built.plan,
        f"{stem}.json": sidecar.as_bytes(),
        f"{stem}.log": built.log.encode(),
    }
    if built.timing_cache:
        files[f"{stem}.timing"] = built.timing_cache
    return files


def _stem(flavour: str, version: str, gpu: str | None, precision: str) -> str:
    place = re.sub(r"[^A-Za-z0-9]+", "-", gpu).strip("-").lower() if gpu else "any"
    return f"{ENGINES}/{flavour}-{version}-{place}-{precision}"


def _timing_cache(bundle: Bundle, flavour: Flavour, precision: str) -> bytes:
    """The measurements of an earlier build on this machine; another user's cache is never passed to native code."""
    gpu = cuda.device()
    name = f"{_stem(flavour.name, flavour.version, gpu.name if gpu else None, precision)}.timing"
    record = bundle.manifest.files.get(name)
    return bundle.read(name) if record is not None and trust.is_own(record.sha256) else b""
