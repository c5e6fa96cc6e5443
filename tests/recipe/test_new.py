from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.new import Start, folder_name, new_recipe


def text_for(root: str = "photos", target: str = "resnet20", **changed: Any) -> str:
    told: dict[str, Any] = {
        "start": None,
        "counts": {"cat": 40, "dog": 60},
        "short_sides": (20, 300, 4000),
        "fewest": 40,
        "has_test": True,
        "notes": (),
        "unreadable": 0,
        "packaged_source": True,
        **changed,
    }
    return new_recipe(Path(root), Path("photos.toml"), target, **told)


@pytest.mark.parametrize("packaged", [True, False])
@pytest.mark.parametrize("target", list(TARGETS))
def test_the_text_is_a_valid_recipe_for_every_target(target: str, packaged: bool) -> None:
    recipe = parse_recipe(text_for(target=target, packaged_source=packaged))

    assert (recipe.target.model, recipe.data.name, recipe.data.root) == (target, "imagefolder", "photos")
    assert recipe.sources[0].model == ("package/efficientnet_lite0" if packaged else "torchvision/resnet50")
    assert recipe.sources[0].weights == (None if packaged else "IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("my photos", "my_photos"),
        ("größe", "gr_e"),
        ("日本", "images"),
        ('a "quoted" name', "a_quoted_name"),
        ("it's", "it_s"),
        ("back\\slash", "back_slash"),
        ("{braces} %s", "braces_s"),
        ("...", None),
        ("-dash_", "dash"),
        ("/", "images"),
        ("new\nline", "new_line"),
        ("tab\there", "tab_here"),
        ("a # b", "a_b"),
    ],
)
def test_any_name_of_a_folder_gives_a_valid_recipe(root: str, name: str | None) -> None:
    recipe = parse_recipe(text_for(root))

    assert recipe.data.root == str(Path(root))
    assert name is None or recipe.name == name


def test_the_line_for_unlabelled_images_is_ready_to_be_used() -> None:
    text = text_for()

    assert parse_recipe(text).data.unlabelled == ""
    assert parse_recipe(text.replace('# unlabelled = "FOLDER"', 'unlabelled = "more"')).data.unlabelled == "more"


def test_the_shares_and_the_skipping_are_written_only_where_they_matter() -> None:
    plain, own = parse_recipe(text_for()), parse_recipe(text_for(has_test=False, unreadable=3))

    assert "test_share" not in text_for() and "skip_bad" not in text_for()
    assert not plain.data.skip_bad
    assert (own.data.skip_bad, own.data.test_share) == (True, 0.2)


@pytest.mark.parametrize(
    ("target", "middle", "size"), [("resnet20", 28, 32), ("resnet20", 300, 64), ("mobilenet_v2", 28, 96)]
)
def test_the_image_size_fits_the_target_and_the_images(target: str, middle: int, size: int) -> None:
    assert parse_recipe(text_for(target=target, short_sides=(8, middle, 900))).data.image_size == size


def test_what_was_seen_stands_in_the_text() -> None:
    text = text_for()

    assert text.startswith("# photos: 100 training images in 2 classes, in 'photos'\n# sskt-edge train photos.toml\n")
    assert text_for(has_test=False).startswith("# photos: 100 images in 2 classes, in 'photos'\n")
    assert "20 to 4000, median 300" in text


def test_what_is_to_be_known_of_the_folder_stands_in_a_comment() -> None:
    text = text_for(notes=("val/ is the test set", "not used: a\nb/"))

    assert "# val/ is the test set\n# not used: a\\x0ab/\n" in text
    assert parse_recipe(text).data.root == "photos"


def test_a_folder_that_a_recipe_cannot_name_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'caf\\xe9/photos' is not UTF-8"):
        folder_name(Path("caf\udce9/photos"))


def test_the_name_of_a_folder_is_found_through_dots_and_not_through_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    monkeypatch.chdir(tmp_path / "photos")

    assert [folder_name(Path(root)) for root in (".", "cat/..", "../a", "cat")] == ["photos", "photos", "a", "cat"]


def test_pretrained_weights_come_with_their_normalisation_and_rate() -> None:
    start = Start("package", (127 / 255,) * 3, (128 / 255,) * 3, 224)
    recipe, scratch = parse_recipe(text_for(target="efficientnet_lite0", start=start)), parse_recipe(text_for())
    assert recipe.target.weights == "package"
    assert "# pretrained at 224 × 224" in text_for(target="efficientnet_lite0", start=start)
    assert recipe.target.mean == pytest.approx(start.mean, abs=1e-6)
    assert recipe.target.std == pytest.approx(start.std, abs=1e-6)
    assert recipe.train.optimizer.lr < scratch.train.optimizer.lr and recipe.train.epochs < scratch.train.epochs
    assert scratch.target.weights is None


@pytest.mark.parametrize(
    ("has_test", "smallest", "method"), [(False, 4, "probe"), (False, 3, "sskt"), (True, 2, "probe"), (True, 1, "sskt")]
)
def test_a_class_too_small_for_a_probe_is_taught_by_branches(has_test: bool, smallest: int, method: str) -> None:
    """A probe needs two training images of every class; without a test folder, a fifth is held out."""
    text = text_for(fewest=smallest, has_test=has_test)
    assert parse_recipe(text).method.name == method
