"""The two libraries with one interface: TensorRT (Jetson, servers) and TensorRT for RTX (cards, and ahead of time)."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from sskt_edge.common.errors import InputError, MissingExtraError, nearest
from sskt_edge.common.packages import install_hint, version_of

FlavourName = Literal["tensorrt", "tensorrt_rtx"]

# The packages that provide the module; their metadata give its version without loading a gigabyte of libraries.
_PACKAGES: dict[FlavourName, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
    "tensorrt_rtx": ("tensorrt-rtx",),
}
_TITLES: dict[FlavourName, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}
_OLDEST: dict[FlavourName, tuple[int, int]] = {"tensorrt": (10, 3), "tensorrt_rtx": (1, 2)}
_INSTALL: dict[FlavourName, str] = {
    "tensorrt": f"On a server: {install_hint('tensorrt')}. On Jetson it comes with JetPack: make the virtual "
    "environment with --system-site-packages.",
    "tensorrt_rtx": f"{install_hint('rtx')} (RTX cards, and building ahead of time on any x86-64 machine).",
}


@dataclass(frozen=True)
class Flavour:
    """A library that is installed.

    Attributes:
        name: of its module.
        version: its numeric version, such as "10.3.0" or "1.7.1.116".
    """

    name: FlavourName
    version: str

    def __str__(self) -> str:
        """Its title and version: TensorRT 10.3.0."""
        return f"{_TITLES[self.name]} {self.version}"

    def module(self) -> ModuleType:
        """The library, imported.

        Raises:
            MissingExtraError: it does not load on this machine, or a different version loads.
        """
        module = _import(self.name)
        loaded = _numbers(str(module.__version__))
        if loaded != self.version:
            raise MissingExtraError(
                f"The installed package says {self}, but the module that loads is {loaded}: two installations "
                f"conflict. Remove one of them. {_INSTALL[self.name]}"
            )
        return module


def installed() -> tuple[Flavour, ...]:
    """The installed libraries of any version. One that has no package metadata is imported to learn its version."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(_find(name))
        except MissingExtraError:
            continue
    return tuple(found)


def choose(name: str | None = None) -> Flavour:
    """The library called `name`. Without a name: TensorRT if it is installed and a GPU is here, else TensorRT for RTX.

    Raises:
        InputError: no library has this name.
        MissingExtraError: it is not installed, does not load, or is too old.
    """
    if name is not None and name not in _PACKAGES:
        raise InputError(f"Unknown flavour of TensorRT '{name}'. {nearest(name, _PACKAGES)}Known: {_known()}.")
    flavour = next(_find(known) for known in _PACKAGES if known == name) if name else _choose_for_this_machine()
    numbers = tuple(int(number) for number in flavour.version.split("."))
    oldest = _OLDEST[flavour.name]
    if numbers < oldest:
        raise MissingExtraError(
            f"{flavour} is installed, but sskt-edge needs {oldest[0]}.{oldest[1]} or newer. Upgrade it. "
            f"{_INSTALL[flavour.name]}"
        )
    return flavour


def how_to_install() -> str:
    """The command that installs each of them."""
    return " ".join(_INSTALL.values())


def _choose_for_this_machine() -> Flavour:
    from sskt_edge.inference.backends.tensorrt import cuda

    here = {flavour.name: flavour for flavour in installed()}
    if not here:
        raise MissingExtraError(f"Engines need a TensorRT, and none is installed. {how_to_install()}")
    if "tensorrt" in here and cuda.device() is not None:
        return here["tensorrt"]
    if "tensorrt_rtx" not in here:
        raise MissingExtraError(
            f"{here['tensorrt']} is installed, but it builds and runs only with a GPU, and no GPU answers here. "
            f"To build without one: {_INSTALL['tensorrt_rtx']}"
        )
    return here["tensorrt_rtx"]


def _find(name: FlavourName) -> Flavour:
    """The library, if it is installed."""
    if find_spec(name) is None:
        raise MissingExtraError(f"This needs {_TITLES[name]}, which is not installed. {_INSTALL[name]}")
    told = next(filter(None, map(version_of, _PACKAGES[name])), None)
    # JetPack's TensorRT may come without package metadata.
    version = told or str(_import(name).__version__)
    return Flavour(name, _numbers(version))


def _import(name: FlavourName) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: one of its shared libraries does not load
        raise MissingExtraError(
            f"{_TITLES[name]} is installed but does not load: {error}. Install it again. {_INSTALL[name]}"
        ) from error


def _numbers(version: str) -> str:
    """The numeric part of a version: "10.14.1.48.post1", where "post1" is the packaging's, → "10.14.1.48"."""
    return ".".join(re.findall(r"\d+", (re.match(r"\d+(\.\d+)*", version) or [""])[0])) or "0"


def _known() -> str:
    return ", ".join(_PACKAGES)
