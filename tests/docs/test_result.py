"""The recorded result: the pages' means, differences and picture are those of the table that lists every seed."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks.flowers_picture import accuracies_in
from sskt_edge.study.statistics import paired, spread
from tests.docs.pages import README, REPOSITORY
from tests.export.pages import text_of

pytestmark = pytest.mark.docs

FIGURES = text_of(REPOSITORY / "docs" / "figures.md")
RESNET20 = r"(?m)^\| resnet20 at 64 × 64 \| \D*\d.*$"
COLUMNS = ("from scratch", "SSKT, batches of 32", "probe")
ROWS = {  # page, method → the pattern of the row that has the method's mean
    "README.md": dict.fromkeys(COLUMNS, RESNET20),
    "recipes/README.md": dict.fromkeys(COLUMNS, RESNET20),
    "docs/figures.md": {name: rf"(?m)^\| \**{name}\** \| \d+ \|.*$" for name in accuracies_in(FIGURES)},
}
VALUES = accuracies_in(FIGURES)
MOBILENET_SCRATCH, MOBILENET_PROBE = "from scratch, random crops, mixup", "probe, random crops, mixup"


def in_percent(value: float) -> str:
    return f"{100 * value:.2f}"


@pytest.mark.parametrize(("page", "method"), [(page, method) for page, rows in ROWS.items() for method in rows])
def test_means_and_deviations_are_those_of_the_seeds(page: str, method: str) -> None:
    of_seeds = spread(list(VALUES[method].values()))
    (row,) = re.findall(ROWS[page][method], text_of(REPOSITORY / page))
    assert in_percent(of_seeds.mean) in row
    assert of_seeds.sd is not None
    assert in_percent(of_seeds.sd) in row


@pytest.mark.parametrize("page", ["README.md", "recipes/README.md"])
def test_the_rows_of_mobilenet_v2_are_those_of_its_seeds(page: str) -> None:
    (row,) = re.findall(r"(?m)^\| mobilenet_v2 at 96 × 96 \| \D*\d.*$", text_of(REPOSITORY / page))
    rows = accuracies_in(FIGURES, "mobilenet_v2")
    for name in (MOBILENET_SCRATCH, "SSKT", MOBILENET_PROBE):
        of_seeds = spread(list(rows[name].values()))
        assert of_seeds.sd is not None
        assert in_percent(of_seeds.mean) in row
        assert in_percent(of_seeds.sd) in row


@pytest.mark.parametrize(
    ("target", "scratch", "probe"),
    [("", "from scratch", "probe"), ("mobilenet_v2", MOBILENET_SCRATCH, MOBILENET_PROBE)],
)
def test_the_difference_is_that_of_the_pairs(target: str, scratch: str, probe: str) -> None:
    values = accuracies_in(FIGURES, target)
    common = values[scratch].keys() & values[probe].keys()
    found = paired([values[probe][seed] - values[scratch][seed] for seed in sorted(common)])
    assert found.interval is not None
    low, high = (f"+{in_percent(edge)}" for edge in found.interval)
    expected = f"+{in_percent(found.mean)} points, {low} to {high} | {found.n}, p = {found.p_better:.3f} |"
    assert expected in text_of(README)


def test_the_picture_shows_every_run_and_the_means() -> None:
    drawn = text_of(REPOSITORY / "docs" / "flowers.svg")
    means = [f"{100 * spread(list(found.values())).mean:.1f}" for found in VALUES.values()]
    assert [mean for mean in means if f">{mean}</text>" not in drawn] == []
    root = ElementTree.fromstring(drawn)
    circles = [use for use in root.iter("{http://www.w3.org/2000/svg}use") if "fill: #737373" in use.get("style", "")]
    assert len(circles) == sum(map(len, VALUES.values()))
