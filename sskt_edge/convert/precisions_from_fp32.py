"""Make the files of the other precisions that a recipe asks for from the fp32 file, or say why one is refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sskt_edge.bundle.manifest import Calibration, PrecisionName
from sskt_edge.common.errors import NetworkError, ParityError, WorkError
from sskt_edge.common.progress import Progress
from sskt_edge.convert.calibration import Calibrated
from sskt_edge.convert.evaluation_set import Images
from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.convert.int8_from_fp32 import CPU, TENSORRT, Form, prepared
from sskt_edge.convert.int8_within_budget import int8_within_budget
from sskt_edge.convert.lint_for_tensorrt import lint_for_tensorrt
from sskt_edge.inference.runners import Runner, runners_of
from sskt_edge.recipe.models import ExportOptions
from sskt_edge.targets.finished_run import FinishedRun


@dataclass
class Candidates:
    """The files that were made.

    Attributes:
        files: precision → ONNX file, including fp32.
        calibrations: precision → how its ranges were calibrated.
        refused: precision → why it was not made.
        remarks: precision → which libraries would refuse the file, and why, although it was made.
    """

    files: dict[str, bytes]
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, dict[str, str]] = field(default_factory=dict)


def precisions_from_fp32(
    fp32: bytes,
    run: FinishedRun,
    images: Images | None,
    runners: tuple[Runner, ...],
    progress: Progress,
    have: Collection[str] = (),
) -> Candidates:
    """Make the precisions that [export] in the run's recipe asks for.

    Args:
        fp32: the fp32 ONNX file.
        run: the run whose network it is.
        images: the images to calibrate with; None if only fp32 is requested.
        runners: the runners on which int8 must stay within tolerance.
        progress: draws the bars.
        have: the precisions that need not be made again.
    """
    wanted = asked_for(run.recipe.export).difference(have)
    candidates = Candidates({"fp32": fp32})
    if "fp16" in wanted and images is not None:
        candidates.files["fp16"] = fp16_from_fp32(fp32)
    forms = [form for form in (TENSORRT, CPU) if form.name in wanted]
    if forms and images is not None:
        network = Calibrated(prepared(fp32), images.calibration, progress)
        for form in forms:
            _add_int8(candidates, form, network, run, images, runners, progress)
    if "tensorrt" in run.recipe.export.devices:
        _lint(candidates)
    return candidates


def asked_for(export: ExportOptions) -> set[PrecisionName]:
    """The precisions that [export] asks for: fp32 always, and with int8 a second file for the CPU."""
    second: set[PrecisionName] = {"int8-cpu"} if "int8" in export.precisions and "cpu" in export.devices else set()
    return {"fp32", *export.precisions, *second}


def _add_int8(
    candidates: Candidates,
    form: Form,
    network: Calibrated,
    run: FinishedRun,
    images: Images,
    runners: tuple[Runner, ...],
    progress: Progress,
) -> None:
    judges = runners_of(form.name, runners)
    try:
        trial = int8_within_budget(network, images.search, form, judges, run.recipe.export.parity, progress)
    except (ParityError, NetworkError, WorkError) as error:
        candidates.refused[form.name] = str(error)
        return
    candidates.files[form.name] = trial.content
    candidates.calibrations[form.name] = Calibration(
        images=len(images.calibration), method=trial.method, layers=trial.layers, kept=list(trial.kept)
    )


def _lint(candidates: Candidates) -> None:
    """Refuse the files that TensorRT would refuse. fp32 only gets a remark, and int8-cpu is not checked."""
    for precision in [name for name in candidates.files if name != CPU.name]:
        found = lint_for_tensorrt(candidates.files[precision])
        if found and precision == "fp32":
            candidates.remarks[precision] = {"tensorrt": f"it would refuse the file: {'; '.join(found)}"}
        elif found:
            del candidates.files[precision]
            candidates.refused[precision] = f"TensorRT would refuse it: {'; '.join(found)}"
