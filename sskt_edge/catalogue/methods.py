"""The training methods.

The code of a method is a function that returns a `methods.learner.Learner`; see there for its arguments. The model of
its table [method] is a `recipe.method.MethodOptions`.
"""

from __future__ import annotations

from sskt_edge.catalogue.entry import OptionsEntry

METHODS: dict[str, OptionsEntry] = {
    entry.name: entry
    for entry in (
        OptionsEntry(
            "sskt",
            "branches of the target learn to predict the soft labels of the sources for every view",
            "sskt_edge.methods.sskt.learner:sskt_learner",
            options="sskt_edge.methods.sskt.options:SsktOptions",
        ),
        OptionsEntry(
            "probe",
            "the target learns what a linear layer on the soft labels says in the task's own classes",
            "sskt_edge.methods.probe.learner:probe_learner",
            options="sskt_edge.methods.probe.options:ProbeOptions",
        ),
        OptionsEntry(
            "scratch",
            "the same training without sources, for comparison",
            "sskt_edge.methods.scratch.learner:scratch_learner",
            options="sskt_edge.methods.scratch.options:ScratchOptions",
        ),
    )
}
