from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sskt_edge.common.errors import InputError, MissingExtraError
from sskt_edge.common.packages import version_of
from sskt_edge.inference.backends.tensorrt import cuda
from sskt_edge.inference.backends.tensorrt.flavours import Flavour, choose, installed
from sskt_edge.machine.device import CudaGpu

pytest.importorskip("cuda.bindings")
RTX = version_of("tensorrt-rtx")
Package = Callable[..., None]
CARD = CudaGpu(name="some card", compute_capability="8.9", driver="13.0", runtime="13.0")

pytestmark = pytest.mark.skipif(version_of("tensorrt") is not None, reason="puts a package 'tensorrt' in its place")
needs_rtx = pytest.mark.skipif(RTX is None, reason="tensorrt-rtx is not installed")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Installs a package `tensorrt` that has a version and nothing else; with metadata, as pip does, or without."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(code: str, metadata: str | None = None) -> None:
        (tmp_path / "tensorrt").mkdir()
        (tmp_path / "tensorrt" / "__init__.py").write_text(code)
        if metadata is not None:
            (tmp_path / f"tensorrt-{metadata}.dist-info").mkdir()
            text = f"Metadata-Version: 2.1\nName: tensorrt\nVersion: {metadata}\n"
            (tmp_path / f"tensorrt-{metadata}.dist-info" / "METADATA").write_text(text)

    yield install
    sys.modules.pop("tensorrt", None)


@needs_rtx
def test_what_is_installed_is_found_and_loads() -> None:
    (rtx,) = installed()
    assert rtx == choose("tensorrt_rtx") == Flavour("tensorrt_rtx", str(RTX))
    assert rtx.module().__name__ == "tensorrt_rtx"


def test_what_is_not_installed_says_how_to_install_it() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[tensorrt\]'.* JetPack"):
        choose("tensorrt")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"'tensorrt-rtx'. Nearest: 'tensorrt_rtx'. Known: tensorrt, tensorrt_rtx"):
        choose("tensorrt-rtx")


def test_metadata_tells_the_version_without_an_import(package: Package) -> None:
    package("raise RuntimeError('imported')", metadata="10.14.1.48.post1")
    assert choose("tensorrt") == Flavour("tensorrt", "10.14.1.48")


def test_a_package_of_the_system_without_metadata_is_found(package: Package) -> None:
    package("__version__ = '10.3.0'")
    assert Flavour("tensorrt", "10.3.0") in installed()
    assert choose("tensorrt").module().__version__ == "10.3.0"


@pytest.mark.parametrize(("version", "fits"), [("8.6.1", False), ("10.2.9", False), ("10.3", True), ("11.0.0", True)])
def test_versions_before_10_3_are_refused_by_name(version: str, fits: bool, package: Package) -> None:
    package(f"__version__ = '{version}'", metadata=version)
    if fits:
        assert choose("tensorrt").version == version
    else:
        with pytest.raises(
            MissingExtraError, match=f"TensorRT {version} is installed, but sskt-edge needs 10.3 or newer"
        ):
            choose("tensorrt")


def test_one_that_does_not_load_says_why_and_counts_as_missing(package: Package) -> None:
    package("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    assert "tensorrt" not in {flavour.name for flavour in installed()}
    with pytest.raises(
        MissingExtraError, match=r"TensorRT is installed but does not load: libnvinfer\.so\.10: cannot open"
    ):
        choose("tensorrt")


def test_two_installations_in_each_others_way_are_told(package: Package) -> None:
    package("__version__ = '10.3.0'", metadata="10.9.0")
    with pytest.raises(MissingExtraError, match=r"10\.9\.0, but the module that loads is 10\.3"):
        choose("tensorrt").module()


@needs_rtx
@pytest.mark.parametrize("gpu", [CARD, None], ids=["GPU", "no GPU"])
def test_without_a_name_the_machine_decides(
    gpu: CudaGpu | None, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    package("__version__ = '10.3.0'")
    monkeypatch.setattr(cuda, "device", lambda: gpu)
    assert choose().name == ("tensorrt" if gpu else "tensorrt_rtx")


@needs_rtx
def test_a_gpu_without_tensorrt_is_served_by_rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "device", lambda: CARD)
    assert choose().name == "tensorrt_rtx"
