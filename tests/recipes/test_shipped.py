"""Every recipe that ships: it loads, passes check, its head says what it is, its target takes its images."""

from __future__ import annotations

import itertools
import re
import shlex

import pytest
import torch

import sskt_edge
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.recipe.optimization import Steps
from sskt_edge.recipe.shipped import head_of, recipes_folder, shipped_recipes
from sskt_edge.targets.build import build_target
from tests.cli.run import Verb

SHIPPED = tuple(shipped_recipes())
PAPER = tuple(name for name in SHIPPED if name.startswith(("stl10_", "cifar10_", "cifar100_")))


def _head(name: str) -> list[str]:
    return head_of(shipped_recipes()[name].read_text(encoding="utf-8"))


def test_the_recipes_of_the_paper_ship() -> None:
    targets = {"stl10": {"mv2", "r20", "r32", "r44", "d121"}, "cifar10": {"r20", "r32"}, "cifar100": {"r20", "r32"}}
    assert set(PAPER) == {f"{data}_{target}" for data, short in targets.items() for target in short}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_loads_under_its_own_name(name: str) -> None:
    assert sskt_edge.load_recipe(name).name == name


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_passes_check(name: str, verb: Verb) -> None:
    code, said, errors = verb("recipe", "check", name)
    assert (code, f"{name} is a valid recipe" in said) == (0, True), errors


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipes_target_takes_images_of_its_size(name: str) -> None:
    recipe = sskt_edge.load_recipe(name)
    size = recipe.data.image_size
    with torch.no_grad():
        assert build_target(recipe.target, 7, 0).eval()(torch.zeros(1, 3, size, size)).shape == (1, 7)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_head_opens_with_what_it_is_and_holds_the_command(name: str) -> None:
    head = _head(name)
    assert head[0]
    assert re.search(rf"^sskt-edge train {name}\b", "\n".join(head), re.MULTILINE)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_the_head_says_to_set_can_be_set(name: str) -> None:
    words = [word for line in _head(name) if "--set" in line for word in shlex.split(line[line.index("--set") :])]
    overrides = [value for option, value in itertools.pairwise(words) if option == "--set"]
    for override in overrides:
        assert sskt_edge.load_recipe(name, [override]) != sskt_edge.load_recipe(name), override


@pytest.mark.docs
@pytest.mark.parametrize("name", PAPER)
def test_the_table_of_recipes_gives_the_figures_of_the_head(name: str) -> None:
    table = (recipes_folder() / "README.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if line.startswith(f"| `{name}` |"))
    this_file = next(line for line in _head(name) if line.startswith("This file, the best row:"))
    figures = re.findall(r"\d\d\.\d+ ± \d\.\d+", this_file)
    assert len(figures) == 2
    assert re.findall(r"\d\d\.\d+ ± \d\.\d+", row) == figures


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_the_paper_says_what_the_paper_says(name: str) -> None:
    recipe = sskt_edge.load_recipe(name)
    assert isinstance(recipe.method, SsktOptions)
    assert (recipe.method.alpha, recipe.method.temperature, recipe.method.combine) == (1.0, 1.0, "mean")
    assert recipe.labels.views == "fresh"
    assert {source.view for source in recipe.sources} == {"upsampled"}
    assert [source.name for source in recipe.sources] == ["imagenet", "places365"]
    assert {source.input_size for source in recipe.sources} == {recipe.data.image_size * 7 // 3}
    assert isinstance(recipe.train.schedule, Steps)
    assert recipe.train.schedule.milestones[-1] == recipe.train.epochs


@pytest.mark.docs
def test_the_published_figure_at_alpha_1_and_t_1_is_the_published_table() -> None:
    """All rows of STL10 with ResNet20 but one lie within 0.02; that one is named."""
    text = (recipes_folder().parent / "docs" / "paper.md").read_text(encoding="utf-8")
    figure: dict[tuple[str, ...], list[float]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 12 and cells[1] in ("yes", "no"):
            figure[cells[0].lower(), cells[1], cells[2]] = [float(cell) for cell in cells[3:]]
    table: dict[tuple[str, ...], float] = {}
    for line in _head("stl10_r20"):
        values = [float(value) for value in re.findall(r"(\d\d\.\d+) ±", line)]
        name = line.split()[0] if line.split() else ""
        if name in ("places365", "imagenet", "both") and len(values) == 4:
            columns = [(module, loss) for module in ("no", "yes") for loss in ("CE", "KD")]
            table |= {(name, *column): value for column, value in zip(columns, values, strict=True)}

    apart = {key: round(abs(figure[key][0] - value), 2) for key, value in table.items()}

    assert len(table) == len(figure) == 12
    assert {key for key, value in apart.items() if value > 0.02} == {("imagenet", "no", "KD")}
    own = [[float(value) for value in line.split()[3:]] for line in _head("stl10_r20") if line.startswith("alpha = ")]
    assert [value for row in own for value in row] == figure["both", "yes", "CE"]
