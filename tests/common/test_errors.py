from __future__ import annotations

import inspect
import re

import pytest

from sskt_edge.common import errors
from sskt_edge.common.errors import InputError, Interrupted, SsktEdgeError, WorkError, nearest


def classes_below(root: type[SsktEdgeError]) -> set[type[SsktEdgeError]]:
    return {root}.union(*(classes_below(child) for child in root.__subclasses__()))


ALL = {kind for kind in classes_below(SsktEdgeError) if kind.__module__ == errors.__name__}


def drawn_tree() -> dict[str, str | None]:
    """Name → its parent's name, as the module's docstring draws it."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if not found:
            continue
        depth = len(found[1])
        above = [(other, name) for other, name in above if other < depth]
        parents[found[2]] = above[-1][1] if above else None
        above.append((depth, found[2]))
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in ALL - {SsktEdgeError}}

    assert drawn_tree() == {"SsktEdgeError": None, **real}


def test_every_class_of_the_module_hangs_on_the_tree() -> None:
    defined = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}

    assert defined == ALL | {Interrupted}


@pytest.mark.parametrize("kind", sorted(ALL, key=str))
def test_wrong_input_ends_with_2_and_failed_work_with_1(kind: type[SsktEdgeError]) -> None:
    assert kind("message").exit_code == (2 if issubclass(kind, InputError) else 1)
    assert kind is SsktEdgeError or issubclass(kind, InputError) != issubclass(kind, WorkError)


@pytest.mark.parametrize(("signum", "code"), [(2, 130), (15, 143)])
def test_an_interruption_ends_with_128_and_the_signal(signum: int, code: int) -> None:
    error = Interrupted("the work was saved", signum)

    assert (str(error), error.exit_code) == ("the work was saved", code)
    # No handler of faults, here or in a library, may take a signal for one.
    assert not isinstance(error, Exception)


def test_nearest_offers_one_name_that_is_close_or_nothing() -> None:
    assert nearest("restnet20", ["resnet20", "resnet32", "vgg"]) == "Nearest: 'resnet20'. "
    assert nearest("qqq", ["resnet20", "vgg"]) == ""
    assert nearest("vgg", iter(())) == ""
