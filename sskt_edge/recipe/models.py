"""The keys of a recipe: frozen models with the type, range and default of every key. Unknown keys are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.catalogue.methods import METHODS
from sskt_edge.catalogue.optimization import OPTIMIZERS, SCHEDULES
from sskt_edge.catalogue.source_views import SOURCE_VIEWS
from sskt_edge.catalogue.sources import SOURCES
from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.recipe.choices import NameIn, TableIn, unknown
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.recipe.input_options import InputOptions, MixingOptions
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.optimization import Cosine, OptimizerOptions, ScheduleOptions, Sgd
from sskt_edge.recipe.part import Part as _Part
from sskt_edge.recipe.part import Share
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.task import task_named
from sskt_edge.tasks.tolerances import Tolerances

Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]
PositiveTriple = tuple[Positive, Positive, Positive]


class AugmentOptions(_Part):
    """How a view differs from its image."""

    crop_padding: int = Field(4, ge=0, description="black pixels around the image that a crop may reach into")
    random_resized_crop: tuple[float, float] | None = Field(
        None, description="smallest and largest share of the area that a crop takes; instead of crop_padding"
    )
    horizontal_flip: bool = Field(True, description="mirror every other view")

    @model_validator(mode="before")
    @classmethod
    def _one_crop(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("random_resized_crop") is not None:
            if given.get("crop_padding"):
                raise ValueError("crop_padding and random_resized_crop exclude each other; leave one out")
            return {**given, "crop_padding": 0}
        return given

    @model_validator(mode="after")
    def _area(self) -> AugmentOptions:
        if self.random_resized_crop and not 0 < self.random_resized_crop[0] <= self.random_resized_crop[1] <= 1:
            raise ValueError("random_resized_crop: expected shares of the area, 0 < smallest <= largest <= 1")
        return self


class DataOptions(_Part):
    """The images."""

    name: Annotated[str, NameIn(DATA_SETS)] = Field(description="a data set by name, or imagefolder")
    root: str = Field("data", description="its path, looked up in the current folder, then in the recipe's")
    image_size: int = Field(0, ge=0, le=1024, description="side of the target's input; 0 = the data set's own")
    per_class: int = Field(0, ge=0, description="a budget of labelled training images per class; 0 = all")
    validation: Share | Literal["rest"] = Field(
        0.0, description="share of the training images held out for validation; rest: those beyond per_class"
    )
    unlabelled: str = Field(
        "", description="images used without labels: rest (beyond per_class), unlabeled (STL10's), or a folder"
    )
    unlabelled_ratio: float = Field(
        1.0, gt=0, description="number of unlabelled images for each labelled one in a batch"
    )
    test_share: Share = Field(0.2, description="for a folder without train/ and test/: the share held out for the test")
    split_seed: int = Field(0, ge=0, lt=2**63, description="chooses the images of test_share, per_class and validation")
    view_seed: int = Field(
        0, ge=0, lt=2**63, description="chooses the views; separate from train.seed, so that seeds share them"
    )
    skip_bad: bool = Field(False, description="skip and count unreadable images instead of stopping")
    augment: AugmentOptions = AugmentOptions()
    table: TableOptions | None = Field(None, description="the columns of name = 'table'")

    @model_validator(mode="after")
    def _own_size(self) -> DataOptions:
        if not self.image_size:  # not as a key that the author gave: another data set has another size
            object.__setattr__(self, "image_size", DATA_SETS[self.name].size)
        return self

    @model_validator(mode="after")
    def _something_is_left(self) -> DataOptions:
        for key in ("validation", "unlabelled"):
            if getattr(self, key) == "rest" and self.per_class == 0:
                raise ValueError(f"{key} = 'rest' needs a budget, per_class > 0: without one, no images are left over")
        if self.validation == self.unlabelled == "rest":
            raise ValueError("validation = 'rest' leaves nothing to unlabelled = 'rest'; give validation a share")
        return self

    @model_validator(mode="after")
    def _unlabeled_are_stl10s(self) -> DataOptions:
        if self.unlabelled == "unlabeled" != DATA_SETS[self.name].unlabelled:
            raise ValueError(
                f"unlabelled = 'unlabeled' means STL10's own unlabelled images, and name = '{self.name}' has none; "
                f"for a folder of that name, write './unlabeled'"
            )
        return self

    @model_validator(mode="after")
    def _table_is_read(self) -> DataOptions:
        if self.table is not None and self.name != "table":
            raise ValueError(f"table belongs to name = 'table'; name = '{self.name}' does not read it")
        return self

    @model_validator(mode="after")
    def _padding_is_small(self) -> DataOptions:
        if self.augment.crop_padding >= self.image_size:
            raise ValueError(f"augment.crop_padding must be smaller than image_size = {self.image_size}")
        return self


class TaskOptions(_Part):
    """What the labels mean."""

    name: Annotated[str, NameIn(TASKS)] = Field(
        "single_label", description="the meaning of the labels: sskt-edge networks lists the tasks"
    )
    class_weights: Literal["balanced"] | dict[str, Positive] | None = Field(
        None, description="balanced: rare classes count more in the loss; or a table of class names and weights"
    )


class TargetOptions(_Part):
    """The compact network."""

    model: Annotated[str, NameIn(TARGETS)] = Field(description="its name; `sskt-edge networks` lists all names")
    weights: str | None = Field(None, description="name of pretrained weights to start from, with a new last layer")
    checkpoint: str | None = Field(None, description="a weights file to start from")
    last_layer: Literal["new", "kept"] = Field(
        "new", description="kept: the checkpoint's own, for the same classes in the same order; new: newly initialized"
    )
    mean: Triple = Field((0.485, 0.456, 0.406), description="means of the input's channels, from 0 to 1")
    std: PositiveTriple = Field((0.229, 0.224, 0.225), description="standard deviations of the input's channels")

    @model_validator(mode="after")
    def _one_start(self) -> TargetOptions:
        if self.weights and self.checkpoint:
            raise ValueError("weights and checkpoint exclude each other; leave one out")
        if self.last_layer == "kept" and not self.checkpoint:
            raise ValueError("last_layer = 'kept' needs checkpoint = FILE, which has the layer")
        return self


class SourceOptions(_Part):
    """A frozen heavy network whose predictions the target learns from."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="its name in tables and logs")
    model: str = Field(description="its kind and name, such as timm/<name>; `sskt-edge networks` lists the kinds")
    weights: str | None = Field(None, description="torchvision: the name of published weights, such as IMAGENET1K_V1")
    checkpoint: str | None = Field(None, description="a weights file: .pth, .pth.tar, .pt, .th or .safetensors")
    classes: int | None = Field(None, ge=2, description="number of classes of the checkpoint")
    outputs: Literal["logits", "features"] = Field(
        "logits", description="features: the vector before the class layer, for a probe; torchvision/, timm/, package/"
    )
    input_size: int | None = Field(None, ge=8, le=1024, description="side of its input; the network's own by default")
    mean: Triple | None = Field(None, description="means of its channels; the network's own by default")
    std: PositiveTriple | None = Field(None, description="std deviations of its channels; the network's own by default")
    batchnorm: Literal["frozen", "recalibrated"] = Field(
        "frozen", description="recalibrated: its statistics are computed once on the training images, then frozen"
    )
    view: Annotated[str, NameIn(SOURCE_VIEWS)] = Field(
        "native",
        description="native: the source gets the region at the image's own resolution; upsampled: the target's pixels",
    )
    alpha: float | None = Field(None, ge=0, description="its weight in the loss; method.alpha by default")

    @model_validator(mode="after")
    def _features_have_no_classes(self) -> SourceOptions:
        if self.outputs == "features" and self.classes is not None:
            raise ValueError("classes is the number of a source's logits, and outputs = 'features'; leave it out")
        return self

    @field_validator("model")
    @classmethod
    def _known_kind(cls, model: str) -> str:
        kind, _, network = model.partition("/")
        entry = SOURCES.get(kind)
        if entry is None:
            raise unknown(model, {entry.written: entry for entry in SOURCES.values()})
        if not network or (entry.names is not None and network not in entry.names):
            names = "" if entry.names is None else f": {', '.join(entry.names)}"
            raise ValueError(f"expected {entry.written}{names}, got '{model}'")
        return model


class LabelOptions(_Part):
    """Which views the sources are queried on, with which engine, and where their soft labels are stored."""

    views: Annotated[int, Field(ge=1, strict=True)] | Literal["fresh"] = Field(
        16, description="number of views of each image, used in turn; fresh: a new view every epoch"
    )
    batch_size: int = Field(64, ge=1, description="images per source batch; fixed, so that labels are reproducible")
    store: str | Literal[False] = Field(
        "labels", description="folder that stores soft labels for all runs; false: query the sources again every epoch"
    )
    top_k: int = Field(0, ge=0, description="store the k largest logits and the mass of the others; 0 = all logits")
    engine: Annotated[str, NameIn(BACKENDS, ("auto", "torch"))] = Field(
        "auto", description="the library that runs the sources; auto: the fastest that passes the gate"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto", description="precision of the sources; one below fp32 must pass the gate"
    )
    gate: GateOptions = GateOptions()


class TrainOptions(_Part):
    """The training loop."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: cuda, or else mps, or else cpu")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="precision of the forward pass; auto: a lower one if it is measured to be faster",
    )
    channels_last: bool = Field(True, description="store images with channels last in memory")
    epochs: int = Field(100, ge=0, description="0: export target.checkpoint unchanged, including its last layer")
    batch_size: int = Field(64, ge=2, description="largest batch size; an epoch is divided into even batches")
    optimizer: Annotated[OptimizerOptions, TableIn(OPTIMIZERS, "sgd")] = Sgd()
    schedule: Annotated[ScheduleOptions, TableIn(SCHEDULES, "cosine")] = Cosine()
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the initial weights and of the order of the images")
    keep: Literal["last", "best"] = Field(
        "last", description="which checkpoint is exported; best needs data.validation"
    )
    validate_every: int = Field(1, ge=1, description="epochs between validations; the last epoch is always validated")
    ema: Share = Field(
        0.0, description="decay of a moving average of the weights, which is validated and exported instead; 0 = off"
    )
    input: InputOptions = InputOptions()
    mixing: MixingOptions = MixingOptions()


class BatchSizes(_Part):
    """The batch sizes that the exported network supports."""

    min: int = Field(1, ge=1, le=1024, description="the smallest")
    opt: int = Field(8, ge=1, le=1024, description="the one that TensorRT chooses its kernels for")
    max: int = Field(64, ge=1, le=1024, description="the largest")

    @model_validator(mode="after")
    def _ordered(self) -> BatchSizes:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"batch: min <= opt <= max must hold, got {self.min}, {self.opt}, {self.max}")
        return self


class ExportOptions(_Part):
    """The contents of the bundle."""

    precisions: tuple[Literal["fp32", "fp16", "int8"], ...] = Field(
        ("fp32", "fp16", "int8"), description="precisions to export; fp32 is always exported"
    )
    devices: tuple[Literal["cpu", "tensorrt"], ...] = Field(
        ("cpu", "tensorrt"), min_length=1, description="devices that int8 is made for; each needs its own form of it"
    )
    batch: BatchSizes = BatchSizes()
    golden: int = Field(200, ge=1, description="number of test images in the bundle, to check parity on any device")
    calibration: int = Field(512, ge=1, description="largest number of training images to calibrate int8 with")
    parity: Tolerances = Tolerances()


class Recipe(_Part):
    """One experiment, from images to bundle."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the name of its runs and bundles")
    data: DataOptions
    task: TaskOptions = TaskOptions()
    target: TargetOptions
    sources: tuple[SourceOptions, ...] = ()
    method: Annotated[MethodOptions, TableIn(METHODS, "sskt")] = Field(
        default_factory=lambda: MethodOptions.of("sskt"), description="how the target is trained"
    )
    labels: LabelOptions = LabelOptions()
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        if not DATA_SETS[self.data.name].several_classes and not task_named(self.task.name).one_class:
            others = [name for name, entry in DATA_SETS.items() if entry.several_classes]
            raise ValueError(
                f"task.name = '{self.task.name}' is for several classes per image, and data.name = '{self.data.name}' "
                f"gives each image one; data sets with labels for '{self.task.name}': {', '.join(others)}"
            )
        self._take_the_input()
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"sources: every source needs a name of its own, got {names}")
        self.method.check_sources(names)
        self.method.check_task(task_named(self.task.name))
        if self.method.asks_sources and not self.active_sources:
            raise ValueError(
                f"method.name = '{self.method.name}' needs at least one [[sources]]; or set method.name = 'scratch'"
            )
        self._has_classes_to_learn()
        self.method.check_labels(self.labels.store, self.labels.top_k)
        if self.train.keep == "best" and self.data.validation == 0:
            raise ValueError(
                "train.keep = 'best' needs data.validation > 0 or 'rest': the test set never chooses a checkpoint"
            )
        if self.train.schedule.needs_validation and self.data.validation == 0:
            raise ValueError(
                f"train.schedule = '{self.train.schedule.name}' needs data.validation > 0 or 'rest': it uses the loss "
                f"on validation images"
            )
        if self.train.epochs == 0:
            self._nothing_to_train()
        return self

    def _take_the_input(self) -> None:
        """Check that the target, and the view of each source that takes part, accept the items of the data set."""
        kind = DATA_SETS[self.data.name].input
        targets = {name: entry.inputs for name, entry in TARGETS.items()}
        views = {name: entry.inputs for name, entry in SOURCE_VIEWS.items()}
        named = [(f"sources.{source.name}.view", source.view, views) for source in self.active_sources]
        for key, name, takes in (("target.model", self.target.model, targets), *named):
            if kind not in takes[name]:
                raise ValueError(
                    f"{key} = '{name}' takes input of kind {', '.join(takes[name])}; data.name = '{self.data.name}' "
                    f"gives {kind}. Accepting {kind}: {', '.join(fit for fit in takes if kind in takes[fit]) or 'none'}"
                )

    def _has_classes_to_learn(self) -> None:
        without = [source.name for source in self.active_sources if source.outputs == "features"]
        if without and self.method.reads_logits:
            raise ValueError(
                f"sources.{without[0]}.outputs = 'features' gives no classes, and method.name = '{self.method.name}' "
                f"teaches a source's own classes; set method.name = 'probe' without branches, or outputs = 'logits'"
            )

    def _nothing_to_train(self) -> None:
        if self.target.last_layer != "kept" or self.method.asks_sources or self.train.keep != "last":
            raise ValueError(
                "train.epochs = 0 exports a checkpoint without training: it needs target.checkpoint with "
                "target.last_layer = 'kept', method.name = 'scratch' and train.keep = 'last'"
            )

    @property
    def active_sources(self) -> tuple[SourceOptions, ...]:
        """The sources that take part in this run, in the recipe's order."""
        if not self.method.asks_sources:
            return ()
        named = self.method.taking_part
        return tuple(source for source in self.sources if named is None or source.name in named)
