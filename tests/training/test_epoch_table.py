from __future__ import annotations

import pytest

from sskt_edge.training.epoch_table import EpochTable, epoch_of

FIGURES = {
    "epoch": 12,
    "loss": 1.234,
    "loss_primary": 0.901,
    "loss_imagenet": 0.111,
    "loss_places365": 0.0,
    "train_correct": 0.8125,
    "validation_accuracy": 0.78,
    "seconds": 3.21,
}


def test_a_row_has_every_loss_both_accuracies_and_the_time() -> None:
    table = EpochTable(60, {"imagenet": 3.0}, metric="accuracy")

    assert table.head == "epoch    loss =   task + 3×imagenet   train     val     time"
    assert table.row(FIGURES) == "12/60   1.234 =  0.901 +      0.111   81.2%   78.0%    3.2 s"


def test_a_source_of_weight_1_is_shown_by_its_name_alone() -> None:
    assert " + imagenet  " in EpochTable(60, {"imagenet": 1.0}, metric=None).head


@pytest.mark.parametrize("weights", [{}, {"imagenet": 1.0}, {"imagenet": 0.5, "places365": 0.5}])
@pytest.mark.parametrize("validated", [True, False])
def test_all_lines_are_of_one_width_and_fit_a_terminal(weights: dict[str, float], validated: bool) -> None:
    table = EpochTable(200, weights, metric="accuracy" if validated else None)
    late = {**FIGURES, "epoch": 200, "loss": 1234.5, "train_correct": 1.0, "seconds": 999.94}
    without = {key: value for key, value in FIGURES.items() if key != "validation_accuracy"}

    widths = {len(line) for line in (table.head, *map(table.row, (FIGURES, late, without)))}

    assert len(widths) == 1
    assert max(widths) <= 80


def test_an_accuracy_that_was_not_taken_is_blank() -> None:
    table = EpochTable(60, {}, metric="accuracy")
    without = {key: value for key, value in FIGURES.items() if key != "validation_accuracy"}

    assert table.row(without) == table.row(FIGURES).replace("78.0%", "     ")
    assert "val" not in EpochTable(60, {}, metric=None).head


def test_a_row_is_known_by_its_epoch_and_no_other_line_is() -> None:
    table = EpochTable(200, {"imagenet": 3.0}, metric="accuracy")

    assert epoch_of(table.row({**FIGURES, "epoch": 7})) == 7
    for other in (table.head, "run runs/1/2 3", "500 training images, 5 classes", "stopped by signal 2"):
        assert epoch_of(other) is None
