from __future__ import annotations

import json

import numpy as np

from sskt_edge.data.copies import Copies, find_copies, join_parts
from sskt_edge.data.images import ImageSet
from tests.data.small import hashes_of

HASHES = hashes_of(20)


def part(name: str, contents: list[int], labels: list[int]) -> ImageSet:
    names = tuple(f"{name}/{place}.png" for place in range(len(contents)))
    return ImageSet({}, np.array(labels, dtype=np.int64), HASHES[contents], names)


def found(**parts: ImageSet | None) -> Copies:
    return find_copies(join_parts(parts))


def test_where_every_content_is_another_there_is_nothing_to_say() -> None:
    copies = found(training=part("a", [0, 1], [0, 1]), validation=None, test=part("b", [2, 3], [0, 1]))

    assert copies.shared == ()
    assert copies.two_classes.count == copies.repeated.count == 0
    assert copies.lines() == []


def test_copies_among_test_images_name_the_first_training_image() -> None:
    copies = found(
        training=part("train", [5, 0, 5, 1], [0, 0, 0, 1]),
        validation=part("kept", [6, 7], [0, 1]),
        test=part("test", [5, 2, 1, 5, 7], [0, 0, 1, 0, 1]),
    )

    assert [(pairs.part, pairs.of, pairs.count) for pairs in copies.shared] == [
        ("test", "training", 3),
        ("test", "validation", 1),
    ]
    assert copies.shared[0].examples == (
        ("test/0.png", "train/0.png"),
        ("test/2.png", "train/3.png"),
        ("test/3.png", "train/0.png"),
    )
    assert copies.harmful() == [
        "3 test images are copies of training images (test/0.png = train/0.png)",
        "1 test image is a copy of a validation image (test/4.png = kept/1.png)",
    ]


def test_one_content_in_two_classes_is_said_wherever_it_is() -> None:
    within = found(training=part("train", [0, 1, 0], [0, 1, 1]))
    across = found(training=part("train", [0, 1], [0, 1]), test=part("test", [0], [1]))

    assert within.two_classes.examples == (("train/2.png", "train/0.png"),)
    assert across.two_classes.examples == (("test/0.png", "train/0.png"),)
    assert (within.two_classes.count, across.two_classes.count) == (1, 1)
    assert within.repeated.count == 0


def test_repeated_images_are_counted_and_not_called_harmful() -> None:
    copies = found(training=part("train", [0, 0, 0, 1, 1], [0, 0, 0, 1, 1]))

    assert copies.repeated.count == 3
    assert copies.harmful() == []
    assert len(copies.lines()) == 1


def test_some_examples_are_kept_and_all_where_asked() -> None:
    parts = join_parts({"training": part("a", list(range(9)), [0] * 9), "test": part("b", list(range(9)), [0] * 9)})

    assert len(find_copies(parts).shared[0].examples) == 5
    assert len(find_copies(parts, examples=None).shared[0].examples) == 9
    assert find_copies(parts).shared[0].count == 9


def test_copies_come_back_from_json() -> None:
    copies = found(training=part("a", [0, 1, 1], [0, 1, 0]), test=part("b", [0], [0]))

    assert Copies.model_validate(json.loads(copies.model_dump_json())) == copies
