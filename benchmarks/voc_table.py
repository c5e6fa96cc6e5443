"""Convert PASCAL VOC's annotations to a table with one column per class, for data.name = "table" and multi_label.

    python -m benchmarks.voc_table VOCdevkit/VOC2007 voc2007.csv

A class is 1 if an object of it is in the image, -1 if all its objects are marked difficult, which VOC's own figures
ignore too, and otherwise 0. The images of ImageSets/Main/trainval.txt are the training images, and those of test.txt
the test images; a recipe with validation images draws them from the training images. Paths are relative to the table's
folder.

    [data]
    name = "table"
    root = "voc2007.csv"
    table = { classes = "*" }
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from xml.etree import ElementTree

PARTS = {"trainval": "train", "test": "test"}


def classes_of(annotation: Path) -> dict[str, int]:
    """Class → 1, or -1 where all its objects are difficult; a class that is not named is not on the image."""
    found: dict[str, int] = {}
    for thing in ElementTree.parse(annotation).iter("object"):
        name, difficult = thing.findtext("name", ""), thing.findtext("difficult", "0") == "1"
        found[name] = max(found.get(name, -1), -1 if difficult else 1)
    return found


def write_table(voc: Path, table: Path) -> None:
    """Write the table of a folder such as VOCdevkit/VOC2007."""
    parts = {
        name: part
        for listed, part in PARTS.items()
        for name in (voc / f"ImageSets/Main/{listed}.txt").read_text().split()
    }
    labels = {name: classes_of(voc / f"Annotations/{name}.xml") for name in parts}
    classes = sorted({name for own in labels.values() for name in own})
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "split", *classes])
        for name, part in parts.items():
            path = Path(os.path.relpath(voc / f"JPEGImages/{name}.jpg", table.parent)).as_posix()
            writer.writerow([path, part, *(labels[name].get(one, 0) for one in classes)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voc", type=Path)
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    write_table(given.voc, given.table)


if __name__ == "__main__":
    main()
