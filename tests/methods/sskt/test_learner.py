from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.methods.learner import Outputs, TaughtBy
from sskt_edge.methods.sskt.learner import SsktLearner
from sskt_edge.methods.sskt.losses import soft_cross_entropy
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.methods.sskt.transfer import LinearBranch, TransferModule
from sskt_edge.targets.cost import network_cost
from sskt_edge.targets.finished_run import NetworkCost
from sskt_edge.targets.spec import target_spec
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.methods.sskt.learners import learner_of
from tests.methods.sskt.test_losses import BRANCH, CROSS_ENTROPIES, LN3, LN5, SOURCE

SOURCES = {"imagenet": 11, "places": 7}
KINDS = [model for model in TARGETS if model not in ("resnet32", "resnet44", "resnet56", "resnet34", "resnet50")]


def images(model: str, batch: int = 2) -> Tensor:
    """[batch,3,S,S], S the target's smallest."""
    size = TARGETS[model].smallest
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def build(model: str, classes: int = 5) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return target_spec(model).build(classes)


def answers(learner: nn.Module, batch: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
    outputs = learner(batch)
    return outputs.primary, outputs.branches


def hooks_in(network: nn.Module) -> int:
    return sum(
        len(hooks)
        for module in network.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    )


@pytest.fixture(autouse=True)
def same_random_numbers() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("transfer_module", [True, False])
@pytest.mark.parametrize("model", KINDS)
def test_branches_leave_the_primary_as_it_was(model: str, transfer_module: bool) -> None:
    primary = build(model).eval()
    keys = list(primary.state_dict())
    before = {key: value.clone() for key, value in primary.state_dict().items()}
    with torch.no_grad():
        alone = primary(images(model))

        branched = learner_of(primary, model, SOURCES, transfer_module).eval()
        logits, branches = answers(branched, images(model))

    assert torch.equal(logits, alone)
    assert {name: tuple(value.shape) for name, value in branches.items()} == {"imagenet": (2, 11), "places": (2, 7)}
    assert list(primary.state_dict()) == keys
    assert all(torch.equal(value, before[key]) for key, value in primary.state_dict().items())
    assert hooks_in(primary) == 0


def test_no_hook_is_left_when_the_forward_pass_fails() -> None:
    primary = build("resnet20")
    branched = learner_of(primary, "resnet20", SOURCES)

    with pytest.raises(RuntimeError):
        branched(torch.rand(2, 4, 8, 8))

    assert hooks_in(primary) == 0


def test_to_strip_is_to_take_the_very_same_module() -> None:
    primary = build("resnet20")

    assert learner_of(primary, "resnet20", SOURCES).strip() is primary


def test_without_sources_there_are_no_branches() -> None:
    primary = build("resnet20").eval()
    branched = learner_of(primary, "resnet20", {}).eval()
    with torch.no_grad():
        logits, branches = answers(branched, images("resnet20"))

        assert torch.equal(logits, primary(images("resnet20")))
    assert branches == {}
    assert [id(p) for p in branched.parameters()] == [id(p) for p in primary.parameters()]


@pytest.mark.parametrize("model", KINDS)
def test_the_loss_of_a_transfer_module_reaches_every_stage(model: str) -> None:
    primary = build(model)
    # In eval mode BatchNorm is affine; in training, two images of one pixel leave it nothing to pass back.
    branched = learner_of(primary, model, {"imagenet": 11}).eval()

    branched(images(model)).branches["imagenet"].square().sum().backward()

    for path in target_spec(model).stages:
        touched = [p.grad for p in primary.get_submodule(path).parameters()]
        assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in touched), path
    assert primary.get_submodule(target_spec(model).last_layer).weight.grad is None


def test_each_stage_alone_gets_gradient_from_its_own_bottleneck() -> None:
    primary = build("resnet20")
    branched = learner_of(primary, "resnet20", {"imagenet": 11}).eval()
    module = branched.branches[0]
    assert isinstance(module, TransferModule)
    for parameter in module.bottlenecks[2].parameters():
        nn.init.zeros_(parameter)  # what goes through the last stage is cut off

    branched(images("resnet20")).branches["imagenet"].sum().backward()

    reached = {name: primary.get_submodule(name).get_parameter("0.conv1.weight").grad for name in ("layer2", "layer3")}
    assert reached["layer2"] is not None and reached["layer2"].abs().sum() > 0
    assert reached["layer3"] is None or reached["layer3"].abs().sum() == 0


def test_the_loss_of_a_linear_branch_reaches_the_primary() -> None:
    primary = build("resnet20")
    branched = learner_of(primary, "resnet20", {"imagenet": 11}, transfer_module=False)

    branched(images("resnet20")).branches["imagenet"].square().sum().backward()

    gradient = primary.get_submodule("layer1").get_parameter("0.conv1.weight").grad
    assert gradient is not None and gradient.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_training_step_has_the_same_bits_each_time(dtype: torch.dtype) -> None:
    branched = learner_of(build("resnet20"), "resnet20", SOURCES).train()
    batch = torch.rand(4, 3, 16, 16).contiguous(memory_format=torch.channels_last)

    def step() -> list[Tensor]:
        network = copy.deepcopy(branched).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            logits, branches = answers(network, batch)
        torch.stack([one.float().square().mean() for one in (logits, *branches.values())]).sum().backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert len(gradients) == len(list(network.parameters()))
        return gradients + list(network.buffers())

    assert all(torch.equal(first, second) for first, second in zip(step(), step(), strict=True))


@pytest.mark.parametrize("model", list(TARGETS))
def test_a_linear_branch_takes_what_the_primary_head_takes(model: str) -> None:
    primary = build(model, classes=5).eval()
    branched = learner_of(primary, model, {"imagenet": 5}, transfer_module=False).eval()
    branch, last = branched.branches[0], primary.get_submodule(target_spec(model).last_layer)
    assert isinstance(branch, LinearBranch)
    branch.linear.load_state_dict(last.state_dict())

    with torch.no_grad():
        logits, branches = answers(branched, images(model))

    # With the last layer's own weights the branch must answer as the primary does.
    assert torch.equal(branches["imagenet"], logits)


@pytest.mark.parametrize("transfer_module", [True, False])
@pytest.mark.parametrize("model", KINDS)
def test_a_step_trains_the_target_and_its_branches(model: str, transfer_module: bool) -> None:
    learner = learner_of(build(model), model, SOURCES, transfer_module).train()
    before = {name: value.detach().clone() for name, value in learner.named_parameters()}
    soft = {name: torch.randn(4, classes) for name, classes in SOURCES.items()}
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)

    terms = learner.losses(learner(images(model, batch=4)), torch.tensor([0, 1, 2, 3]), soft, SINGLE_LABEL)
    terms["total"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()

    assert all(torch.isfinite(term) for term in terms.values())
    assert all(torch.isfinite(value).all() for value in learner.parameters())
    last = f"primary.{target_spec(model).last_layer}.weight"
    for name in (next(iter(before)), last, "branches.0.linear.weight", "branches.1.linear.weight"):
        assert not torch.equal(learner.get_parameter(name), before[name]), name


def test_every_source_has_its_own_branch_in_order() -> None:
    branched = learner_of(build("resnet20"), "resnet20", SOURCES)

    assert tuple(branched.weights) == ("imagenet", "places")
    modules = [branch for branch in branched.branches if isinstance(branch, TransferModule)]
    assert [branch.linear.out_features for branch in modules] == [11, 7]
    one, two = ({id(p) for p in branch.parameters()} for branch in branched.branches)
    assert not one & two


@pytest.mark.parametrize("model", ["resnet20", "resnet18", "mobilenet_v2", "densenet121"])
def test_transfer_modules_have_the_widths_of_the_published_code(model: str) -> None:
    published = {"resnet20": (32, 64), "resnet18": (500, 1000), "mobilenet_v2": (160, 320), "densenet121": (256, 512)}
    branched = learner_of(build(model), model, {"imagenet": 11})
    module = branched.branches[0]
    assert isinstance(module, TransferModule)

    widths = {
        tuple(layer.out_channels for layer in bottleneck.children() if isinstance(layer, nn.Conv2d))
        for bottleneck in module.bottlenecks
    }

    middle, out = published[model]
    assert widths == {(middle, middle, out)}
    assert module.linear.in_features == out


@pytest.mark.parametrize("model", ["resnet18", "resnet34", "resnet50"])
def test_branches_of_the_large_resnets_start_as_published(model: str) -> None:
    """Normal, of variance 2 / (outputs × kernel area): kaiming_normal_ with fan_out, bounded by nothing."""
    module = learner_of(build(model), model, {"imagenet": 11}).branches[0]
    assert isinstance(module, TransferModule)
    convolutions = [layer for layer in module.bottlenecks.modules() if isinstance(layer, nn.Conv2d)]

    assert len(convolutions) == 4 * 3
    for layer in convolutions:
        expected = (2 / (layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1])) ** 0.5
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.03)
        assert layer.weight.abs().max().item() > 3 * expected  # a uniform draw ends at √3 of its deviation


@pytest.mark.parametrize("model", ["resnet20", "mobilenet_v2"])
def test_branches_of_other_targets_start_as_torch_starts_them(model: str) -> None:
    module = learner_of(build(model), model, {"imagenet": 11}).branches[0]
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            bound = (layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]) ** -0.5
            assert 0.9 * bound < layer.weight.abs().max().item() <= bound


def test_cost_counts_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.append(nn.Linear(4, 5))

    # 8 × 8 pixels of 4 channels, each from 3 × 3 × 3 values; then 5 × 4.
    assert network_cost(network, torch.zeros(1, 3, 8, 8)) == NetworkCost(
        parameters=3 * 4 * 9 + 4 * 5 + 5, macs=8 * 8 * 4 * 27 + 20
    )


def test_cost_of_resnet20_is_the_known_one() -> None:
    # 32 × 32: stem 3→16; then six convolutions a stage, all of 2,359,296 but the first ones of stages 2 and 3, half.
    stem, full = 32 * 32 * 16 * 27, 32 * 32 * 16 * 16 * 9
    expected = stem + 6 * full + 2 * (full // 2 + 5 * full) + 64 * 10

    found = network_cost(build("resnet20", 10), torch.zeros(1, 3, 32, 32))

    assert found.macs == expected
    assert round(found.macs / 1e6, 1) == 40.6


def test_cost_leaves_the_network_as_it_was() -> None:
    network = build("resnet20").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}

    network_cost(network, torch.zeros(1, 3, 16, 16))

    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_cost_of_a_branched_target_holds_its_branches() -> None:
    primary = build("resnet20", 10)
    branched = learner_of(primary, "resnet20", {"imagenet": 11})
    # Each bottleneck at its stage's sides s: s²·c·32, then (s/2)²·(32·32·9 + 32·64); the linear layer.
    bottlenecks = sum(s * s * c * 32 + (s // 2) ** 2 * (32 * 32 * 9 + 32 * 64) for s, c in ((16, 16), (8, 32), (4, 64)))

    item = torch.zeros(1, 3, 16, 16)
    apart = network_cost(branched, item).macs - network_cost(primary, item).macs

    assert apart == bottlenecks + 64 * 11


def terms_of(
    primary: Tensor, labels: Tensor, branches: dict[str, Tensor], soft: dict[str, Tensor], **told: Any
) -> dict[str, Tensor]:
    """The terms of a learner whose sources have two classes, for answers that are given."""
    alphas = told.pop("alphas", dict.fromkeys(branches, 1.0))
    taught_by = {name: TaughtBy(2, alpha) for name, alpha in alphas.items()}
    learner = SsktLearner(SsktOptions(**told), build("resnet20"), target_spec("resnet20"), taught_by)
    return learner.losses(Outputs(primary, branches), labels, soft, SINGLE_LABEL)


def test_total_loss_is_the_task_plus_alpha_times_each_source() -> None:
    primary = torch.tensor([[LN5, 0.0, 0.0], [0.0, 0.0, 0.0]])  # softmax: (5, 1, 1) / 7; (1, 1, 1) / 3
    task, places = (math.log(7) + LN3) / 2, sum(CROSS_ENTROPIES) / 2

    terms = terms_of(
        primary,
        torch.tensor([1, 2]),
        {"imagenet": BRANCH, "places": BRANCH},
        {"places": SOURCE, "imagenet": SOURCE},
        alphas={"places": 0.1, "imagenet": None},
        alpha=2.0,
    )

    assert set(terms) == {"total", "primary", "places", "imagenet"}
    assert terms["primary"].item() == pytest.approx(task, rel=1e-6)
    assert terms["places"].item() == pytest.approx(places, rel=1e-6)
    assert terms["total"].item() == pytest.approx(task + 0.1 * places + 2.0 * places, rel=1e-6)


def test_each_branch_is_compared_with_its_own_source() -> None:
    other = -BRANCH
    terms = terms_of(
        torch.zeros(2, 3), torch.tensor([0, 1]), {"a": BRANCH, "b": other}, {"b": other, "a": BRANCH}, loss="kd"
    )

    assert terms["a"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["b"].item() == pytest.approx(0.0, abs=1e-6)


def test_unlabelled_images_are_in_the_losses_of_the_sources_alone() -> None:
    primary, labels = torch.tensor([[0.3, -1.0], [9.0, 0.1]]), torch.tensor([1])

    terms = terms_of(primary, labels, {"a": BRANCH}, {"a": SOURCE})

    assert torch.equal(terms["primary"], torch.nn.functional.cross_entropy(primary[:1], labels))
    assert torch.equal(terms["a"], soft_cross_entropy(BRANCH, SOURCE, 1.0))


def test_losses_are_computed_in_fp32_whatever_the_forward_pass_gave() -> None:
    low = BRANCH.to(torch.bfloat16)

    terms = terms_of(low, torch.tensor([0, 1]), {"a": low}, {"a": SOURCE})

    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert torch.equal(terms["a"], soft_cross_entropy(low.float(), SOURCE, 1.0))
