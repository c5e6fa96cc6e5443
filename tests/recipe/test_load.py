from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from sskt_edge.common.errors import RecipeError
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.recipe.load import load_recipe, parse_recipe, read_text, recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.shipped import shipped_recipes
from tests.recipe.small import SCRATCH, TEXT, fault


def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("name = \n")

    with pytest.raises(RecipeError, match=r"broken.toml' is not TOML: .*line 1"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 20_000, "a = " + "[" * 20 + "]" * 20, f"a{'.a' * 3000} = 1", f"[train]\nepochs{'.a' * 3000} = 1"],
    ids=["endless arrays", "arrays", "dotted keys", "a value of dotted keys"],
)
def test_values_deep_in_each_other_are_refused(text: str) -> None:
    assert "'small.toml' is not a recipe: its tables or arrays are nested more than 16 deep" in fault(text)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "0x" + "f" * 5000, str(2**64)])
def test_a_number_that_toml_does_not_have_is_refused(number: str) -> None:
    for line in (f"epochs = {number}", f"milestones = [1, {number}]"):
        assert "'small.toml' is not a recipe: it holds an integer of more than 64 bits" in fault(f"[train]\n{line}")


@pytest.mark.parametrize("value", ["[" * 20_000, "9" * 5000, "0x" + "f" * 5000])
def test_an_override_that_no_recipe_holds_is_refused(value: str) -> None:
    assert len(fault(SCRATCH, f"train.epochs={value}")) < 500


def test_a_text_too_long_for_a_recipe_is_not_parsed() -> None:
    assert "'small.toml' is not a recipe: it has more than 32768 characters" in fault(f"# {'a' * 40_000}\n{SCRATCH}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_read(encoding: str, end: str, tmp_path: Path) -> None:
    path, text = tmp_path / "windows.toml", SCRATCH.replace('name = "scratch"\n', 'name = "scratch" # größe\n')
    path.write_bytes(text.replace("\n", end).encode(encoding))
    assert load_recipe(str(path)) == parse_recipe(text)
    assert read_text(path) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named_with_the_way_to_utf_8(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "powershell.toml"
    path.write_bytes(f"\ufeff{SCRATCH}".encode(encoding) if encoding == "utf-16-be" else SCRATCH.encode(encoding))
    with pytest.raises(RecipeError, match=r"powershell.toml' is UTF-16 .*utf8"):
        load_recipe(str(path))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("name = 'größe'".encode("latin-1"))

    with pytest.raises(RecipeError, match=r"latin.toml' is not a recipe: it is not UTF-8 text"):
        load_recipe(str(path))


def test_a_missing_file_is_told_the_nearest_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos.toml").write_text(TEXT)
    for name, near in {"quikstart": "quickstart", "photo.toml": "photos.toml", "photos.tml": "photos.toml"}.items():
        with pytest.raises(RecipeError, match=f"No recipe '{name}': .*Nearest: '{near}'"):
            load_recipe(name)
    with pytest.raises(RecipeError, match=r"No recipe '.*nowhere.toml'") as caught:
        load_recipe(str(tmp_path / "nowhere.toml"))
    assert "Nearest" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (("recipe.toml", "environment.json"), "sskt-edge train 'my run' --resume"),
        (("recipe.toml", "environment.json", "result.json"), "sskt-edge export 'my run'"),
        (("manifest.json", "model.onnx"), "sskt-edge eval 'my run'"),
        ((), "sskt-edge recipe new --data 'my run'"),
    ],
)
def test_a_folder_in_place_of_a_recipe_is_told_what_takes_it(
    made: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my run").mkdir()
    for name in made:
        Path("my run", name).touch()
    with pytest.raises(RecipeError) as caught:
        load_recipe("my run")
    assert told in str(caught.value)


def test_a_recipe_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(TEXT)

    assert load_recipe(str(path), ["train.epochs=7"]) == parse_recipe(TEXT, ["train.epochs=7"])


@pytest.mark.parametrize(
    ("override", "place", "value"),
    [
        ("train.epochs=7", ("train", "epochs"), 7),
        ("name=other", ("name",), "other"),
        ('name="other"', ("name",), "other"),
        ("data.root=/a folder/with=signs", ("data", "root"), "/a folder/with=signs"),
        ("train.channels_last=false", ("train", "channels_last"), False),
        ("data.augment.horizontal_flip=false", ("data", "augment", "horizontal_flip"), False),
        ("train.optimizer.lr=1e-3", ("train", "optimizer", "lr"), 1e-3),
        ("labels.views=fresh", ("labels", "views"), "fresh"),
        ("labels.views=3", ("labels", "views"), 3),
        ("target.mean=[0.1, 0.2, 0.3]", ("target", "mean"), (0.1, 0.2, 0.3)),
        ('method.sources=["places365"]', ("method", "sources"), ("places365",)),
        ("export.batch.opt=2", ("export", "batch", "opt"), 2),
        (" train.epochs = 7", ("train", "epochs"), 7),
    ],
)
def test_any_key_can_be_set(override: str, place: tuple[str, ...], value: object) -> None:
    found: object = parse_recipe(TEXT, [override])
    for key in place:
        found = getattr(found, key)

    assert found == value


def test_a_table_without_its_name_is_of_the_default_kind() -> None:
    """The error that a diverging run ends with tells the user to set train.optimizer.lr and nothing else."""
    train = parse_recipe(TEXT, ["train.optimizer.lr=0.05", "train.schedule.warmup_epochs=2"]).train

    assert (train.optimizer.name, train.optimizer.lr) == ("sgd", 0.05)
    assert train.schedule.model_dump() == {"name": "cosine", "warmup_epochs": 2}


@pytest.mark.parametrize("key", ["optimizer", "schedule"])
def test_an_unknown_kind_of_table_is_told_the_known_ones(key: str) -> None:
    message = fault(TEXT, f'train.{key}={{name="sgdd"}}')

    assert f"train.{key}" in message and "'sgdd'" in message
    assert {"optimizer": "Known: sgd, adamw", "schedule": "Known: cosine, steps"}[key] in message


@pytest.mark.parametrize("which", ["1", "places365"])
def test_a_source_is_set_by_its_number_or_its_name(which: str) -> None:
    recipe = parse_recipe(TEXT, [f"sources.{which}.alpha=0.25", f"sources.{which}.model=timm/resnet26"])

    assert [source.alpha for source in recipe.sources] == [None, 0.25]
    assert [source.model for source in recipe.sources] == ["torchvision/resnet50", "timm/resnet26"]


def test_a_whole_source_can_be_replaced() -> None:
    recipe = parse_recipe(TEXT, ['sources.1={name = "run", model = "run/runs/a"}'])

    assert [source.name for source in recipe.sources] == ["imagenet", "run"]


def test_later_overrides_win() -> None:
    assert parse_recipe(TEXT, ["train.epochs=7", "train.epochs=8"]).train.epochs == 8


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "expected KEY=VALUE, such as --set train.epochs=10"),
        ("=3", "expected KEY=VALUE"),
        ("sources.2.alpha=1", "no element '2'; there are 2, counted from 0"),
        ("sources.flowers.alpha=1", "no element 'flowers'"),
        ("sources.flowers=1", "no element 'flowers'"),
        ("name.first=1", "'name' is not a table"),
        ("name.first.second=1", "'first' cannot be set there"),
        ("train.epoch=3", "train.epoch: unknown key. Nearest: 'epochs'"),
        ("trian.epochs=3", "trian: unknown key. Nearest: 'train'"),
    ],
)
def test_a_set_that_goes_nowhere_is_an_error(override: str, message: str) -> None:
    assert message in fault(TEXT, override)


def test_a_whole_source_can_be_set_by_its_name() -> None:
    recipe = parse_recipe(TEXT, ['sources.places365={name = "run", model = "run/runs/a"}'])

    assert [source.name for source in recipe.sources] == ["imagenet", "run"]


def test_the_identity_of_a_recipe_is_its_values_not_its_text() -> None:
    recipe = parse_recipe(TEXT)
    head, *tables = TEXT.split("\n[", maxsplit=3)
    other_order = "# a comment\n" + "\n[".join([head, tables[1], tables[0], *tables[2:]]) + "[train]\nepochs = 100\n"

    assert other_order != TEXT
    assert recipe_sha256(parse_recipe(other_order)) == recipe_sha256(recipe)
    assert recipe_sha256(parse_recipe(TEXT, ["train.epochs=101"])) != recipe_sha256(recipe)
    assert recipe_sha256(parse_recipe(TEXT, ["sources.1.alpha=1.0"])) != recipe_sha256(recipe)


def test_sources_in_another_order_are_another_recipe() -> None:
    one, two = TEXT.index("[[sources]]"), TEXT.rindex("[[sources]]")
    swapped = TEXT[:one] + TEXT[two:] + TEXT[one:two]

    assert recipe_sha256(parse_recipe(swapped)) != recipe_sha256(parse_recipe(TEXT))


def as_run(recipe: Recipe) -> str:
    """The text that a run's folder keeps."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["labels.views=fresh", "sources.0.alpha=0.1", "sources.0.mean=[0.1, 0.2, 0.3]"],
        ["data.augment.random_resized_crop=[0.2, 1.0]"],
        ['train.optimizer={name="adamw"}', 'train.schedule={name="steps", milestones=[3, 5]}'],
        ['data.root=C:\\images "mine"'],
    ],
)
def test_the_recipe_as_run_reads_back_as_the_same_recipe(overrides: list[str]) -> None:
    recipe = parse_recipe(TEXT, overrides)

    again = parse_recipe(as_run(recipe))

    assert again == recipe
    assert recipe_sha256(again) == recipe_sha256(recipe)


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_a_shipped_recipe_is_found_by_name_and_reads_back_as_run(name: str) -> None:
    recipe = load_recipe(name)

    assert parse_recipe(as_run(recipe)) == recipe


def test_a_value_that_is_not_utf8_is_refused_escaped() -> None:
    assert r"'caf\xe9/photos' is not" in fault(TEXT, "data.root=caf\udce9/photos")


def test_another_method_does_not_take_the_values_of_the_one_before() -> None:
    text = f"{TEXT}[method]\nalpha = 7.0\ntemperature = 5.0\nsources = ['imagenet']"
    recipe = parse_recipe(text, ["method.name=probe"])
    assert recipe.method == ProbeOptions(sources=("imagenet",))
    assert parse_recipe(text, ["method.name=sskt"]).method == parse_recipe(text).method


@pytest.mark.parametrize("order", [1, -1])
def test_options_are_those_of_the_method_that_is_named_with_them(order: int) -> None:
    told = ["method.name=probe", "method.temperature=4"][::order]
    assert parse_recipe(TEXT, told).method == ProbeOptions(temperature=4.0)
