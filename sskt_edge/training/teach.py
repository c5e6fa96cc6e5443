"""The soft labels that a training learns from: those of the sources, or what a probe makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from sskt_edge.common.errors import DataError
from sskt_edge.common.files import write_atomically
from sskt_edge.common.progress import Progress
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.sources.probe.fit import fit_probes
from sskt_edge.sources.probe.probe import Probe, probe_from_bytes
from sskt_edge.sources.probe.probe_logits import with_probe
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.inputs import Inputs
from sskt_edge.training.run_log import RunLog


def soft_labels(
    method: MethodOptions,
    inputs: Inputs,
    labels: Sequence[SoftLabels],
    folder: RunFolder,
    log: RunLog,
    progress: Progress,
) -> Sequence[SoftLabels]:
    """The soft labels of the labelled images, and of the unlabelled ones if there are any.

    Args:
        method: the recipe's [method].
        inputs: the images and sources.
        labels: the sources' logits for the views of both.
        folder: the run's folder, which keeps the probe. A resumed run reads it.
        log: gets the probe's held-out score.
        progress: draws the bars.

    Raises:
        DataError: no probe can be fitted, or it is no better than chance.
        RunError: the run's probe is broken or was changed.
        StorageError: the probe cannot be written.
    """
    if not method.fits_probe:
        return labels
    if folder.probe.is_file():
        probe = probe_from_bytes(folder.probe.read_bytes(), str(folder.probe))
    else:
        probe = fit_probes(inputs.task, inputs.images, inputs.reader.classes, labels[0], progress)
    for line in probe_lines(probe):
        log.say_once(line)
    best = probe.facts[0]
    if best.is_at_chance:
        raise DataError(
            f"The labels of {best.name} do not tell your classes apart: {best}. Choose another source "
            f"(sskt-edge networks), or set method.name = 'scratch'."
        )
    if not best.is_better_than_chance:
        log.say_once(
            f"the probe of {best.name} is not clearly better than chance: it may not tell your classes apart; "
            f"sskt-edge compare shows if it helps"
        )
    if not folder.probe.is_file():
        write_atomically(folder.probe, probe.as_bytes())
    kept = tuple(labels[0].readers) if method.reads_logits else ()
    return [with_probe(probe, part, is_labelled=number == 0, kept=kept) for number, part in enumerate(labels)]


def probe_lines(probe: Probe) -> list[str]:
    """The held-out score of each probe that was fitted, and which one teaches."""
    lines = [f"probe of {facts.name}: {facts}" for facts in probe.facts]
    if len(lines) > 1:
        lines.append(f"the target learns from the probe of {probe.facts[0].name}, whose held-out loss is the lowest")
    return lines
