"""The optimizers and the learning-rate schedules.

The code of an optimizer is a function (options, parameters, fused) → torch.optim.Optimizer. The code of a schedule is a
class that is constructed from (options, lr), a `training.schedules.schedule.Schedule`.
"""

from __future__ import annotations

from sskt_edge.catalogue.entry import OptionsEntry

OPTIMIZERS: dict[str, OptionsEntry] = {
    entry.name: entry
    for entry in (
        OptionsEntry(
            "sgd",
            "stochastic gradient descent with momentum",
            "sskt_edge.training.optimizers:sgd",
            options="sskt_edge.recipe.optimization:Sgd",
        ),
        OptionsEntry(
            "adamw",
            "Adam with decoupled weight decay",
            "sskt_edge.training.optimizers:adamw",
            options="sskt_edge.recipe.optimization:AdamW",
        ),
    )
}

SCHEDULES: dict[str, OptionsEntry] = {
    entry.name: entry
    for entry in (
        OptionsEntry(
            "cosine",
            "half a cosine from lr to 0, after a linear warm-up",
            "sskt_edge.training.schedules.cosine:CosineSchedule",
            options="sskt_edge.recipe.optimization:Cosine",
        ),
        OptionsEntry(
            "steps",
            "lr times gamma at every milestone",
            "sskt_edge.training.schedules.steps:StepsSchedule",
            options="sskt_edge.recipe.optimization:Steps",
        ),
        OptionsEntry(
            "plateau",
            "lr times factor when the validation loss has stopped falling",
            "sskt_edge.training.schedules.plateau:PlateauSchedule",
            options="sskt_edge.recipe.optimization:Plateau",
        ),
    )
}
