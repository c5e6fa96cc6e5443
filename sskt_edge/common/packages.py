"""The packages that sskt-edge uses: which extra installs them, which are installed, and how to install the others.

The extras are defined in pyproject.toml. They are read from the metadata of the installation, so an extra that was
added to a checkout is known only after `pip install -e .` has been run again; until then it counts as missing.

importlib.metadata and packaging take 25 ms to import, so they are imported where they are used: `--help` needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence

_NAME = "sskt-edge"
_DEVELOPMENT = "dev"


def version_of(package: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def extras() -> dict[str, tuple[str, ...]]:
    """Extra → the packages that it installs on this machine; "base" → sskt-edge and the packages it always needs.

    The extra for developers is left out. If sskt-edge is not installed, "base" is the only entry.
    """
    from importlib import metadata

    from packaging.requirements import Requirement

    try:
        about = metadata.metadata(_NAME)
    except metadata.PackageNotFoundError:
        return {"base": (_NAME,)}
    wanted = [Requirement(line) for line in about.get_all("Requires-Dist", [])]
    found = {"base": (_NAME, *(one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})))}
    for extra in about.get_all("Provides-Extra", []):
        if extra != _DEVELOPMENT:
            found[extra] = tuple(
                one.name
                for one in wanted
                if one.marker and one.marker.evaluate({"extra": extra}) and one.name not in found["base"]
            )
    return found


def packages_of(extra: str) -> tuple[str, ...]:
    """The packages that an extra installs; for an extra that the installation does not know, the extra itself.

    >>> packages_of("openvino")
    ('openvino',)
    >>> packages_of("of-tomorrow")
    ('sskt-edge[of-tomorrow]',)
    """
    return extras().get(extra, (requirement(extra),))


def extra_with(module: str) -> str | None:
    """The extra that installs the package with the same name as a module; None if no extra does.

    >>> extra_with("tomli_w")
    'train'
    """
    from packaging.utils import canonicalize_name

    name = canonicalize_name(module)
    table = {extra: map(canonicalize_name, names) for extra, names in extras().items() if extra != "base"}
    return next((extra for extra, names in table.items() if name in names), None)


def requirement(*extras: str) -> str:
    """The requirement for sskt-edge with these extras, as pip expects it.

    >>> requirement("train", "cpu")
    'sskt-edge[train,cpu]'
    """
    return f"{_NAME}[{','.join(extras)}]" if extras else _NAME


def install_hint(*extras: str, others: Sequence[str] = ()) -> str:
    """The command that installs these extras and other requirements; without either, it installs sskt-edge alone.

    >>> install_hint("train", "cpu")
    "pip install 'sskt-edge[train,cpu]'"
    >>> install_hint(others=["cuda-bindings>=12.6,<13"])
    "pip install 'cuda-bindings>=12.6,<13'"
    """
    words = [requirement(*extras)] if extras or not others else []
    return " ".join(["pip install", *(f"'{word}'" for word in (*words, *others))])
