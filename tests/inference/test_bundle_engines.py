"""Engines in a bundle: built for real by TensorRT for RTX; opened only where they fit and are trusted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.common.errors import BundleError, InputError
from sskt_edge.inference.backends.tensorrt import cuda, flavours, trust
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.bundle_engines import build_engines, engines, look_at_engines, open_engine
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.machine.device import CudaGpu
from tests.bundle.tiny import sha256, write_bundle
from tests.inference.backends.tensorrt.nets import SIDE, network
from tests.older import BUNDLES, unpacked
from tests.sealed import changed

pytest.importorskip("tensorrt_rtx")
GPU = CudaGpu("NVIDIA A10", "8.6", "13.0", "13.0")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of own engines for each test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with an engine of fp32 and one of fp16; their builder is not recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        path = write_bundle(tmp_path_factory.mktemp("bundles") / "tiny", model=network(), fp16=network(dtype="FLOAT16"))
        build_engines(open_bundle(path), flavour="tensorrt_rtx")
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "tiny")


def plan_of(bundle: Bundle, precision: str) -> str:
    return next(engine.plan for engine in engines(bundle) if engine.sidecar.network == precision)


def relist(path: Path, name: str, content: bytes) -> None:
    """Change a file, with a manifest that agrees, as whoever made the bundle can."""
    (path / name).write_bytes(content)
    with changed(path / "manifest.json") as raw:
        raw["files"][name] = {"sha256": sha256(content), "bytes": len(content)}


def change_sidecar(path: Path, precision: str, **changes: Any) -> None:
    name = plan_of(open_bundle(path), precision).replace(".plan", ".json")
    relist(path, name, json.dumps({**json.loads((path / name).read_text()), **changes}).encode())


def tree(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


class TestBuilding:
    def test_every_file_of_an_engine_stands_in_the_manifest(self, path: Path) -> None:
        bundle = open_bundle(path)
        version = flavours.choose("tensorrt_rtx").version
        for precision in ("fp32", "fp16"):
            stem = f"engines/tensorrt_rtx-{version}-any-{precision}"
            assert {f"{stem}{end}" for end in (".plan", ".json", ".log")} <= set(bundle.manifest.files)
        assert {file.name for file in path.rglob("*") if file.is_file()} == {
            ".lock",
            "manifest.json",
            *(Path(name).name for name in bundle.manifest.files),
        }

    def test_a_sidecar_names_what_the_engine_is_made_of(self, path: Path) -> None:
        bundle = open_bundle(path)
        for plan, sidecar in engines(bundle):
            record = bundle.manifest.precisions["fp16" if sidecar.network == "fp16" else "fp32"]
            assert (sidecar.onnx_sha256, sidecar.plan_sha256) == (record.sha256, bundle.manifest.files[plan].sha256)
            assert (sidecar.shape, sidecar.batch) == (bundle.manifest.input.shape, bundle.manifest.input.batch)
            assert not sidecar.tf32

    @pytest.mark.slow
    @pytest.mark.parametrize("name", BUNDLES)
    def test_a_bundle_of_an_older_version_gets_engines(self, name: str, tmp_path: Path) -> None:
        bundle, built = build_engines(open_bundle(unpacked(name, tmp_path)), flavour="tensorrt_rtx")
        (engine,) = engines(bundle)
        assert set(built) == {"fp32"} and engine.sidecar.shape == bundle.manifest.input.shape == (16, 16, 3)

    @pytest.mark.slow
    def test_what_is_built_here_is_remembered(self, path: Path) -> None:
        bundle, built = build_engines(open_bundle(path), ["fp16"], "tensorrt_rtx")
        assert trust.is_own(built["fp16"].sidecar.plan_sha256)
        assert not trust.is_own(bundle.manifest.files[plan_of(bundle, "fp32")].sha256)

    def test_building_again_replaces_the_engine(self, path: Path) -> None:
        before = set(open_bundle(path).manifest.files)
        bundle, built = build_engines(open_bundle(path), ["fp16"], "tensorrt_rtx", ["8.9"])
        assert set(bundle.manifest.files) == before
        ((_, sidecar),) = [engine for engine in engines(bundle) if engine.sidecar.network == "fp16"]
        assert sidecar == built["fp16"].sidecar and sidecar.compute_capabilities == ["8.9"]

    def test_a_precision_that_is_missing_is_refused_before_any_build(self, path: Path) -> None:
        with pytest.raises(BundleError, match=r"has no int8\. It has: fp32, fp16"):
            build_engines(open_bundle(path), ["int8"], "tensorrt_rtx")

    def test_no_precisions_at_all_build_nothing(self, bundle_path: Path) -> None:
        before = tree(bundle_path)
        bundle, built = build_engines(open_bundle(bundle_path), [], "tensorrt_rtx")
        assert built == {} and engines(bundle) == []
        assert tree(bundle_path) == before

    def test_a_refused_network_leaves_what_was_there(self, tmp_path: Path) -> None:
        path = write_bundle(tmp_path / "b", model=network(), fp16=network(side=SIDE + 1))
        before = tree(path)
        with pytest.raises(InputError, match="another form"):
            build_engines(open_bundle(path), ["fp16", "fp32"], "tensorrt_rtx")
        assert tree(path) == before

    @pytest.mark.slow
    def test_what_was_built_before_a_failure_is_kept(self, tmp_path: Path) -> None:
        path = write_bundle(tmp_path / "b", model=network(), fp16=network(side=SIDE + 1))
        with pytest.raises(InputError, match="another form"):
            build_engines(open_bundle(path), flavour="tensorrt_rtx")
        ((_, sidecar),) = engines(open_bundle(path))
        assert sidecar.network == "fp32" and trust.is_own(sidecar.plan_sha256)

    @pytest.mark.slow
    def test_an_unwritable_list_of_own_engines_does_not_lose_the_build(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "no folder").write_text("")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no folder"))
        bundle, _ = build_engines(open_bundle(path), ["fp16"], "tensorrt_rtx")
        assert plan_of(bundle, "fp16")


class TestOpening:
    """Nothing here has a GPU: what is refused is refused before native code sees a byte, or at its door."""

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if there were one, so that the checks behind that question are reached."""
        monkeypatch.setattr(cuda, "need_device", lambda: GPU)
        monkeypatch.setattr(
            "sskt_edge.inference.bundle_engines.TensorRtSession",
            lambda plan, *_, **__: pytest.fail(f"opened {len(plan)} bytes"),
        )

    def test_an_engine_of_somebody_else_is_not_opened_unasked(self, path: Path) -> None:
        with pytest.raises(BundleError, match=r"not built by this user.*--trust-engines.*export .* --trt"):
            open_engine(open_bundle(path), "fp32")

    @pytest.mark.parametrize("trusted", [True, False])
    def test_an_engine_that_is_trusted_or_own_is_opened(
        self, path: Path, trusted: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[bytes] = []
        monkeypatch.setattr(
            "sskt_edge.inference.bundle_engines.TensorRtSession", lambda plan, *_, **__: opened.append(plan)
        )
        bundle = open_bundle(path)
        plan = bundle.read(plan_of(bundle, "fp32"))
        if not trusted:
            trust.remember(sha256(plan))
        open_engine(bundle, "fp32", trusted)
        assert opened == [plan]

    def test_an_engine_of_another_version_says_who_met_and_how_to_rebuild(self, path: Path) -> None:
        change_sidecar(path, "fp32", version="1.0.0")
        with pytest.raises(BundleError, match=r"built by TensorRT for RTX 1\.0\.0.*sskt-edge export .* --trt"):
            open_engine(open_bundle(path), "fp32", trust_engines=True)

    def test_an_engine_of_another_gpu_is_refused(self, path: Path) -> None:
        change_sidecar(path, "fp32", gpu="Orin", compute_capabilities=["8.7"])
        with pytest.raises(BundleError, match=r"built for 'Orin'; here is NVIDIA A10.*8\.7; 'NVIDIA A10' has 8\.6"):
            open_engine(open_bundle(path), "fp32", trust_engines=True)

    def test_an_engine_of_another_flavour_is_refused(self, path: Path) -> None:
        change_sidecar(path, "fp32", flavour="tensorrt", version="10.3.0")
        with pytest.raises(BundleError, match=r"built by TensorRT 10\.3\.0"):
            open_engine(open_bundle(path), "fp32", trust_engines=True)

    def test_no_engine_of_the_precision_names_the_command(self, bundle_path: Path) -> None:
        with pytest.raises(BundleError, match=r"has no engine of fp32.*--trt --precision fp32"):
            open_engine(open_bundle(bundle_path), "fp32")


class TestABrokenChain:
    def test_a_plan_that_was_exchanged_for_another_precisions(self, path: Path) -> None:
        bundle = open_bundle(path)
        relist(path, plan_of(bundle, "fp32"), bundle.read(plan_of(bundle, "fp16")))
        told = rf"is not the engine that its sidecar describes.*sskt-edge export {path} --trt"
        with pytest.raises(BundleError, match=told):
            engines(open_bundle(path))

    def test_an_engine_of_another_bundles_network(self, path: Path, tmp_path: Path) -> None:
        change_sidecar(path, "fp32", onnx_sha256="0" * 64)
        with pytest.raises(BundleError, match="built from another fp32 file than the bundle's"):
            engines(open_bundle(path))

    def test_a_sidecar_of_a_precision_that_the_bundle_lacks(self, path: Path) -> None:
        change_sidecar(path, "fp32", network="int8")
        with pytest.raises(BundleError, match="built from another int8 file"):
            engines(open_bundle(path))

    def test_a_plan_without_sidecar(self, path: Path) -> None:
        bundle = open_bundle(path)
        with changed(path / "manifest.json") as raw:
            del raw["files"][plan_of(bundle, "fp32").replace(".plan", ".json")]
        with pytest.raises(BundleError, match=rf"has no sidecar.*sskt-edge export {path} --trt"):
            engines(open_bundle(path))

    def test_a_sidecar_that_is_none_names_the_command(self, path: Path) -> None:
        relist(path, plan_of(open_bundle(path), "fp32").replace(".plan", ".json"), b"no JSON")
        with pytest.raises(BundleError, match=rf"sidecar is not JSON.*sskt-edge export {path} --trt"):
            engines(open_bundle(path))

    def test_an_engine_that_is_broken_raises_where_it_is_asked_for(self, path: Path) -> None:
        change_sidecar(path, "fp32", onnx_sha256="0" * 64)
        with pytest.raises(BundleError, match=r"no engine of fp32.*another fp32 file.*--trt --precision fp32"):
            open_engine(open_bundle(path), "fp32")

    def test_a_broken_engine_hides_no_other_way(self, path: Path) -> None:
        change_sidecar(path, "fp32", onnx_sha256="0" * 64)
        bundle = open_bundle(path)
        (plan,) = look_at_engines(bundle).broken
        found = open_sessions(bundle)
        assert {"fp32 onnxruntime-cpu", "fp16 onnxruntime-cpu"} <= {one.name for one in found.opened}
        assert (
            "another fp32 file" in found.unavailable[plan]
            and f"sskt-edge export {path} --trt" in found.unavailable[plan]
        )
        assert "fp16 tensorrt-cuda" in found.unavailable and "fp32 tensorrt-cuda" not in found.unavailable
        assert plan not in open_sessions(bundle, "fp16").unavailable
        assert plan not in open_sessions(bundle, backend="onnxruntime").unavailable

    @pytest.mark.slow
    def test_building_again_cures_a_broken_engine_and_touches_no_other(self, path: Path) -> None:
        other = "engines/tensorrt-10.3.0-nvidia-a10-fp32"
        files = {f"{other}.plan": b"a plan", f"{other}.json": b"no JSON", f"{other}.log": b"", f"{other}.timing": b"t"}
        open_bundle(path).with_files({**files, f"{other[:-4]}int8.plan": b"broken too"})
        bundle, _ = build_engines(open_bundle(path), ["fp32"], "tensorrt_rtx")
        assert not files.keys() & bundle.manifest.files.keys()
        assert not any((path / name).exists() for name in files)
        assert list(look_at_engines(bundle).broken) == [f"{other[:-4]}int8.plan"]
        assert sorted(engine.sidecar.network for engine in look_at_engines(bundle).whole) == ["fp16", "fp32"]

    @pytest.mark.parametrize("end", [".plan", ".json"])
    @pytest.mark.parametrize("how", ["changed", "cut", "gone", "link"])
    def test_a_file_of_an_engine_that_is_not_as_listed(self, path: Path, end: str, how: str, tmp_path: Path) -> None:
        file = path / plan_of(open_bundle(path), "fp32").replace(".plan", end)
        content = file.read_bytes()
        file.unlink()
        if how == "changed":
            file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        elif how == "cut":
            file.write_bytes(content[:-1])
        elif how == "link":
            (tmp_path / "elsewhere").write_bytes(content)
            file.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BundleError, match=r"differs|truncated or changed|cannot be read|is a link"):
            open_bundle(path)


def test_a_timing_cache_of_somebody_else_is_given_to_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only TensorRT has one, so the build is watched from here."""
    here = Flavour("tensorrt", "10.3.0")
    monkeypatch.setattr(cuda, "device", lambda: GPU)
    monkeypatch.setattr(flavours, "choose", lambda _=None: here)
    given: list[bytes] = []

    def build(_: bytes, **told: Any) -> Any:
        given.append(told["timing_cache"])
        raise InputError("far enough")

    monkeypatch.setattr("sskt_edge.inference.bundle_engines.build_engine", build)
    name = "engines/tensorrt-10.3.0-nvidia-a10-fp32.timing"
    bundle = open_bundle(path).with_files({name: b"measured elsewhere"})
    for _ in range(2):
        with pytest.raises(InputError, match="far enough"):
            build_engines(bundle, ["fp32"])
        trust.remember(sha256(b"measured elsewhere"))
    assert given == [b"", b"measured elsewhere"]
