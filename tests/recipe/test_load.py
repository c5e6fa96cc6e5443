from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from sskt_edge.errors import RecipeError
from sskt_edge.recipe.load import load_recipe, parse_recipe, read_text, recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.shipped import shipped_recipes
from tests.recipe.small import SCRATCH, TEXT


def fault(text: str, *overrides: str) -> str:
    """What a recipe that is not valid is told."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, overrides, where="small.toml")
    return str(caught.value)


def with_key(line: str, table: str = "") -> str:
    """The recipe from scratch with one line more, in a table or at its head."""
    return f"{SCRATCH}\n[{table}]\n{line}\n" if table else f"{line}\n{SCRATCH}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_key("epoch = 3", "train"), "train.epoch: unknown key. Nearest: 'epochs'. Known here: batch_size,"),
        (with_key("sed = 3"), "sed: unknown key. Nearest: 'train.seed'. Known here: data, export, labels, name,"),
        (with_key("epochs = 3"), "epochs: unknown key. Nearest: 'train.epochs'."),
        (with_key("lr = 3", "train"), "train.lr: unknown key. Nearest: 'train.optimizer.lr'."),
        (with_key("batch_size = 3"), "batch_size: unknown key. Nearest: 'labels.batch_size', 'train.batch_size'."),
        (with_key("zzz = 3"), "zzz: unknown key. Known here: data,"),
        (with_key("lables = {}"), "lables: unknown key. Nearest: 'labels'."),
        (
            with_key('optimizer = { name = "sgd", momentun = 0.5 }', "train"),
            "train.optimizer.momentun: unknown key. Nearest: 'momentum'.",
        ),
        (
            with_key('optimizer = { name = "adamw", momentum = 0.5 }', "train"),
            "train.optimizer.momentum: unknown key. Known here: betas, lr, name, weight_decay.",
        ),
        (with_key("batch = { mim = 2 }", "export"), "export.batch.mim: unknown key. Nearest: 'min'."),
        (
            TEXT + 'weight = "x"\n',
            "sources.1.weight: unknown key. Nearest: 'weights'. Known here: alpha, batchnorm, checkpoint,",
        ),
        (with_key('epochs = "ten"', "train"), "train.epochs: Input should be a valid integer"),
        (with_key("epochs = 2.5", "train"), "train.epochs: Input should be a valid integer"),
        (with_key("epochs = -1", "train"), "train.epochs: Input should be greater than or equal to 0, got -1."),
        (f"{TEXT}[sskt]\ntemperature = 0.0", "sskt.temperature: Input should be greater than 0, got 0.0."),
        (f"{TEXT}[sskt]\nalpha = inf", "sskt.alpha: Input should be a finite number, got inf."),
        (f"{TEXT}[sskt]\nalpha = nan", "sskt.alpha: Input should be a finite number, got nan."),
        (
            SCRATCH.replace("resnet20", "resnet2"),
            "target.model: unknown value 'resnet2'. Nearest: 'resnet20'. Known: 'resnet20', 'resnet32',",
        ),
        (SCRATCH.replace('"digits"', '"cifra10"'), "data.name: unknown value 'cifra10'. Nearest: 'cifar10'."),
        (SCRATCH.replace('name = "scratch"', ""), "name: this key is needed."),
        (SCRATCH.replace('{ name = "digits" }', "{}"), "data.name: this key is needed."),
        (with_key('views = "new"', "labels"), "labels.views: a number of at least 1, or 'fresh', got 'new'."),
        (with_key("views = 0", "labels"), "labels.views: a number of at least 1, or 'fresh', got 0."),
        (TEXT.replace("torchvision/resnet50", "resnet50"), "sources.0.model: "),
        (TEXT.replace('"imagenet"', '"image net"'), "sources.0.name: "),
        (SCRATCH.replace('name = "scratch"', 'name = "../up"'), "name: "),
    ],
)
def test_a_wrong_key_is_named_with_what_is_known(text: str, message: str) -> None:
    assert f"\n  {message}" in fault(text)


def test_every_wrong_key_is_named_at_once_and_only_once() -> None:
    lines = fault(TEXT + "[train]\nepoch = 3\nlr = 1\n[labels]\nviews = 0\n").splitlines()

    assert lines[0] == "'small.toml' is not a valid recipe:"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == ["labels.views", "train.epoch", "train.lr"]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (SCRATCH, ["train.keep=best"], "train.keep = 'best' needs data.validation > 0"),
        (SCRATCH, ["train.schedule={name='plateau'}"], "train.schedule = 'plateau' needs data.validation > 0"),
        (SCRATCH, ["train.schedule={name='plateau', gamma=0.1}"], "train.schedule.gamma: unknown key."),
        (SCRATCH, ["train.epochs=0"], "train.epochs = 0 trains nothing"),
        (SCRATCH, ["target.last_layer=kept"], "last_layer = 'kept' needs checkpoint"),
        (SCRATCH, ["train.optimizer={dampening=0.5, momentum=0}"], "dampening = 0.5 changes nothing without momentum"),
        (SCRATCH, ["train.optimizer={nesterov=true, momentum=0}"], "nesterov needs momentum > 0"),
        (SCRATCH, ["train.optimizer={nesterov=true, dampening=0.5}"], "nesterov needs momentum > 0 and dampening = 0"),
        (SCRATCH, ["sskt.method=sskt"], "sskt.method = 'sskt' needs at least one [[sources]]"),
        (TEXT, ["sskt.use=[]"], "sskt.method = 'sskt' needs at least one [[sources]]"),
        (TEXT, ['sskt.use=["imagenet", "flowers"]'], "sskt.use: no source is called 'flowers'"),
        (TEXT, ["sources.1.name=imagenet"], "sources: every source needs a name of its own"),
        (TEXT, ["sources.1.name=total"], "sources: 'primary', 'total' and 'right' are names of figures"),
        (SCRATCH, ["target.weights=A", "target.checkpoint=B"], "target: weights and checkpoint exclude each other"),
        (SCRATCH, ["export.batch={min=2, opt=1, max=3}"], "export.batch: batch: min <= opt <= max must hold"),
        (SCRATCH, ["data.image_size=4"], "augment.crop_padding must be smaller than image_size = 4"),
        (
            SCRATCH,
            ["data.augment={crop_padding=2, random_resized_crop=[0.2, 1.0]}"],
            "data.augment: crop_padding and random_resized_crop exclude each other",
        ),
        (SCRATCH, ["data.augment.random_resized_crop=[0.9, 0.2]"], "0 < smallest <= largest <= 1"),
        (SCRATCH, ["data.augment.random_resized_crop=[0.0, 0.2]"], "0 < smallest <= largest <= 1"),
        (
            SCRATCH,
            ['train.schedule={name="steps", milestones=[20, 10]}'],
            "train.schedule: milestones must ascend",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(text: str, overrides: list[str], message: str) -> None:
    assert message in fault(text, *overrides)


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
    assert "'small.toml' is no recipe: its tables or arrays stand more than 16 deep" in fault(text)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "0x" + "f" * 5000, str(2**64)])
def test_a_number_that_toml_does_not_have_is_refused(number: str) -> None:
    for line in (f"epochs = {number}", f"milestones = [1, {number}]"):
        assert "'small.toml' is no recipe: it holds an integer of more than the 64 bits" in fault(f"[train]\n{line}")


@pytest.mark.parametrize("value", ["[" * 20_000, "9" * 5000, "0x" + "f" * 5000])
def test_an_override_that_no_recipe_holds_is_refused(value: str) -> None:
    assert len(fault(SCRATCH, f"train.epochs={value}")) < 500


def test_a_text_too_long_for_a_recipe_is_not_parsed() -> None:
    assert "'small.toml' is no recipe: it has more than 32768 characters" in fault(f"# {'a' * 40_000}\n{SCRATCH}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_read(encoding: str, end: str, tmp_path: Path) -> None:
    path, text = tmp_path / "windows.toml", SCRATCH.replace('name = "scratch"', 'name = "scratch" # größe')
    path.write_bytes(text.replace("\n", end).encode(encoding))
    assert load_recipe(str(path)) == parse_recipe(text)
    assert read_text(path) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named_with_the_way_to_utf_8(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "powershell.toml"
    path.write_bytes(f"\ufeff{SCRATCH}".encode(encoding) if encoding == "utf-16-be" else SCRATCH.encode(encoding))
    with pytest.raises(RecipeError, match=r"powershell.toml' is UTF-16 .*utf8"):
        load_recipe(str(path))


def test_a_value_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(RecipeError, match="not UTF-8"):
        parse_recipe(SCRATCH, ["data.root=caf\udce9"])


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("name = 'größe'".encode("latin-1"))

    with pytest.raises(RecipeError, match=r"latin.toml' is not a recipe: it is not UTF-8 text"):
        load_recipe(str(path))


def test_a_missing_file_is_told_the_nearest_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos.toml").write_text(TEXT)
    for name, near in {"quikstart": "quickstart", "photo.toml": "photos.toml", "./photo.toml": "photos.toml"}.items():
        with pytest.raises(RecipeError, match=f"No recipe '{name}': .*Nearest: '{near}'"):
            load_recipe(name)
    with pytest.raises(RecipeError, match=r"No recipe '.*nowhere.toml'") as caught:
        load_recipe(str(tmp_path / "nowhere.toml"))
    assert "Nearest" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (("recipe.toml",), "sskt-edge train 'my run' --resume"),
        (("recipe.toml", "result.json"), "sskt-edge export 'my run'"),
        (("manifest.json",), "sskt-edge eval 'my run'"),
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
        ('sskt.use=["places365"]', ("sskt", "use"), ("places365",)),
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
    assert {"optimizer": "'sgd', 'adamw'", "schedule": "'cosine', 'steps'"}[key] in message


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
        ("name.first=1", "'name' holds no keys"),
        ("name.first.second=1", "'first' has no place there"),
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
