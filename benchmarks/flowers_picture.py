"""Draw the recorded accuracies of the recipe flowers, seed by seed, as docs/flowers.svg.

    python -m benchmarks.flowers_picture

The accuracies are read from the table with a column per seed in docs/figures.md, so the picture cannot say anything
else. Run it again after that table has changed.
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib

from sskt_edge.study.draw_comparison import figure_of_arms

DOCS = Path(__file__).parents[1] / "docs"
TEST_IMAGES = 736


def accuracies_in(page: str, target: str = "") -> dict[str, dict[int, float]]:
    """Row → seed → accuracy, 0 to 1, of a page's table that begins with "| seed | 0 |".

    An accuracy is a number of test images, so what the table's two decimals lost comes back. Rows of differences
    between two others are left out, and so are columns that are not a seed's.

    Args:
        page: the page's text.
        target: the table begins with "| <target>, seed | 0 |" instead.

    >>> accuracies_in("| seed | 0 | 1 | d |\\n|---|---|---|---|\\n| probe | 75.00 |  | 1 |\\n| a over b | +1 | | |")
    {'probe': {0: 0.75}}
    """
    begin = f"| {target}, seed | 0 |" if target else "| seed | 0 |"
    lines = page[page.index(begin) :].split("\n\n", maxsplit=1)[0].splitlines()
    seeds, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {
        row[0]: {
            int(seed): _of_images(float(cell)) for seed, cell in zip(seeds, row, strict=True) if seed.isdigit() and cell
        }
        for row in rows
        if not re.search(r" over ", row[0])
    }


def _of_images(percent: float) -> float:
    return round(percent / 100 * TEST_IMAGES) / TEST_IMAGES


def main() -> None:
    values = accuracies_in((DOCS / "figures.md").read_text(encoding="utf-8"))
    named = {name.replace("from ", "").replace(", batches", ",\nbatches"): found for name, found in values.items()}
    # Text stays text, and the same table gives the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "flowers"}):
        figure = figure_of_arms(named, "accuracy", "resnet20 at 64 × 64")
        figure.savefig(DOCS / "flowers.svg", format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
