"""The paper's h_t: the target with a branch for every source, and the losses of equations (1) and (5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from sskt_edge.methods.learner import Learner, Outputs, TaskLoss, TaughtBy
from sskt_edge.methods.sskt.folding import Stage
from sskt_edge.methods.sskt.losses import auxiliary_loss
from sskt_edge.methods.sskt.options import BranchOptions, SsktOptions
from sskt_edge.methods.sskt.transfer import LinearBranch, TransferModule
from sskt_edge.targets.spec import TargetSpec


class SsktLearner(Learner):
    """The unmodified primary network, and one branch per source that reads the outputs of its stages.

    The branches are attached from outside, with forward hooks for the length of one forward pass, so that stripping
    them means taking `.primary`.
    """

    def __init__(
        self, options: BranchOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
    ) -> None:
        """Attach a branch to `primary` for every source."""
        alphas = {name: options.alpha if source.alpha is None else source.alpha for name, source in sources.items()}
        super().__init__(primary, alphas)
        self._options, self._spec, self._names = options, spec, tuple(sources)
        features = _input_features(primary.get_submodule(spec.last_layer))
        self.branches = nn.ModuleList(
            TransferModule(spec.stages, spec.transfer_width, source.classes, options.combine)
            if options.transfer_module
            else LinearBranch(features, source.classes)
            for source in sources.values()
        )
        if spec.branches_fan_out:
            for module in self.branches.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Outputs:
        """[B+U,3,S,S] → the primary's logits [B+U,K], and source → its branch's logits [B+U,C]."""
        with self._tapped() as (stages, pooled):
            logits = self.primary(images)
        return Outputs(
            logits, {name: branch(stages, pooled[0]) for name, branch in zip(self._names, self.branches, strict=True)}
        )

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        """The task's loss on labelled images plus α times each source's loss on all images. Equations (1) and (5)."""
        terms = {"primary": task.loss(outputs.primary[: len(labels)], labels)}
        terms["total"] = terms["primary"]
        for name in self._names:
            terms[name] = auxiliary_loss(self._options, outputs.branches[name].float(), soft[name])
            terms["total"] = terms["total"] + self.weights[name] * terms[name]
        return terms

    @contextmanager
    def _tapped(self) -> Iterator[tuple[dict[str, Stage], list[Tensor]]]:
        """Collect the stages' outputs and the head's input while the primary runs."""
        stages: dict[str, Stage] = {}
        pooled: list[Tensor] = []

        def keep_stage(name: str) -> Any:
            def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
                stages[name] = Stage(output)

            return keep

        def keep_pooled(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            pooled.append(inputs[0])

        handles = [
            self.primary.get_submodule(path).register_forward_hook(keep_stage(path)) for path in self._spec.stages
        ]
        handles.append(self.primary.get_submodule(self._spec.head).register_forward_pre_hook(keep_pooled))
        try:
            yield stages, pooled
        finally:
            for handle in handles:
                handle.remove()


def sskt_learner(
    options: SsktOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
) -> SsktLearner:
    """The learner of a training with SSKT."""
    return SsktLearner(options, primary, spec, sources)


def _input_features(last_layer: nn.Module) -> int:
    if not isinstance(last_layer, nn.Linear):
        raise TypeError(f"a target's last layer must be linear, got {type(last_layer).__name__}")
    return last_layer.in_features
