from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.bundle import bundle as module
from sskt_edge.bundle.bundle import find_newest_bundle, open_bundle
from sskt_edge.common.errors import BundleError, InputError
from sskt_edge.common.files import write_atomically
from sskt_edge.inference.open_session import open_session
from tests.bundle.tiny import (
    manifest_of,
    reference,
    sha256,
    tiny_golden,
    tiny_model,
    tiny_onnx,
    write_bundle,
)
from tests.sealed import as_sealed, changed, of_before


def test_a_whole_bundle_opens_and_runs(bundle_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    golden = bundle.golden()
    session = open_session(bundle, provider="cpu", threads=1)
    assert (bundle.manifest.name, session.max_batch) == ("tiny", 5)
    assert np.abs(session.run(golden.images) - golden.logits).max() < 1e-5
    assert np.array_equal(golden.logits, reference(golden.images))


def test_a_bundle_may_lie_behind_a_link(bundle_path: Path) -> None:
    link = bundle_path.parent / "link"
    link.symlink_to(bundle_path)
    open_bundle(link)


def test_no_bundle_offers_the_nearest(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match=r"No bundle at .*Nearest: 'tiny'\. .*sskt-edge export"):
        open_bundle(bundle_path.parent / "tinny")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json' cannot be read: No such file"):
        open_bundle(tmp_path)


def test_a_manifest_that_does_not_hold_names_the_bundle(bundle_path: Path) -> None:
    (bundle_path / "manifest.json").write_text('{"schema_version": 99}')
    with pytest.raises(BundleError, match=r"tiny' cannot be opened as a bundle: .*Upgrade it"):
        open_bundle(bundle_path)


@pytest.mark.parametrize("name", ["model.onnx", "golden.safetensors"])
class TestAListedFile:
    def test_that_is_missing_is_refused(self, bundle_path: Path, name: str) -> None:
        (bundle_path / name).unlink()
        with pytest.raises(BundleError, match=f"{name}' cannot be read: No such file"):
            open_bundle(bundle_path)

    def test_that_is_truncated_is_refused(self, bundle_path: Path, name: str) -> None:
        content = (bundle_path / name).read_bytes()
        (bundle_path / name).write_bytes(content[:-1])
        with pytest.raises(
            BundleError, match=f"{name}' has {len(content) - 1} bytes, but the manifest says {len(content)}"
        ):
            open_bundle(bundle_path)

    def test_that_is_longer_is_refused(self, bundle_path: Path, name: str) -> None:
        with (bundle_path / name).open("ab") as file:
            file.write(b"x")
        with pytest.raises(BundleError, match="it was truncated or changed"):
            open_bundle(bundle_path)

    def test_that_has_one_other_bit_is_refused(self, bundle_path: Path, name: str) -> None:
        content = bytearray((bundle_path / name).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle_path / name).write_bytes(content)
        with pytest.raises(BundleError, match=f"{name}' is not the file that was exported"):
            open_bundle(bundle_path)

    def test_that_changes_after_opening_is_refused_at_its_use(self, bundle_path: Path, name: str) -> None:
        bundle = open_bundle(bundle_path)
        content = (bundle_path / name).read_bytes()
        (bundle_path / name).write_bytes(bytes(len(content)))
        with pytest.raises(BundleError, match="is not the file that was exported"):
            open_session(bundle) if name == "model.onnx" else bundle.golden()

    def test_that_is_a_link_is_refused_though_its_content_is_right(self, bundle_path: Path, name: str) -> None:
        (bundle_path / name).rename(bundle_path.parent / "elsewhere")
        (bundle_path / name).symlink_to(bundle_path.parent / "elsewhere")
        with pytest.raises(BundleError, match=f"{name}' is a link"):
            open_bundle(bundle_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_that_is_a_pipe_is_refused_without_waiting_for_it(self, bundle_path: Path, name: str) -> None:
        (bundle_path / name).unlink()
        os.mkfifo(bundle_path / name)
        with pytest.raises(BundleError, match=f"{name}'.* not a regular file"):
            open_bundle(bundle_path)


def test_a_linked_manifest_is_refused(bundle_path: Path) -> None:
    (bundle_path / "manifest.json").rename(bundle_path.parent / "elsewhere")
    (bundle_path / "manifest.json").symlink_to(bundle_path.parent / "elsewhere")
    with pytest.raises(BundleError, match=r"manifest\.json' is a link"):
        open_bundle(bundle_path)


def list_file(bundle_path: Path, name: str, content: bytes) -> None:
    with changed(bundle_path / "manifest.json") as raw:
        raw["files"][name] = {"sha256": sha256(content), "bytes": len(content)}


def test_a_file_below_a_linked_folder_is_refused(bundle_path: Path) -> None:
    outside = bundle_path.parent / "outside"
    outside.mkdir()
    (outside / "a.plan").write_bytes(b"plan")
    (bundle_path / "engines").symlink_to(outside)
    list_file(bundle_path, "engines/a.plan", b"plan")
    with pytest.raises(BundleError, match="engines' is a link"):
        open_bundle(bundle_path)


def test_a_file_in_a_folder_of_the_bundle_is_verified(bundle_path: Path) -> None:
    (bundle_path / "engines").mkdir()
    (bundle_path / "engines" / "a.plan").write_bytes(b"plan")
    list_file(bundle_path, "engines/a.plan", b"plan")
    assert open_bundle(bundle_path).read("engines/a.plan") == b"plan"


@pytest.mark.parametrize("link", [".lock", "engines", "engines/a.plan"])
def test_nothing_is_written_through_a_link_that_no_manifest_lists(bundle_path: Path, link: str) -> None:
    bundle = open_bundle(bundle_path)
    outside = bundle_path.parent / "outside"
    outside.mkdir()
    (outside / "a.plan").write_bytes(b"somebody's")
    (bundle_path / link).parent.mkdir(exist_ok=True)
    (bundle_path / link).symlink_to(outside if link == "engines" else outside / "a.plan")
    with pytest.raises(BundleError, match=f"{link}' is a link"):
        bundle.with_files({"engines/a.plan": b"plan"})
    assert [(file.name, file.read_bytes()) for file in outside.iterdir()] == [("a.plan", b"somebody's")]


@pytest.mark.parametrize("archive", ["zip", "gztar"])
def test_an_archive_is_refused_unopened(bundle_path: Path, archive: str) -> None:
    made = shutil.make_archive(str(bundle_path.parent / "packed"), archive, bundle_path)
    before = sorted(bundle_path.parent.rglob("*"))
    with pytest.raises(BundleError, match=r"packed\.[a-z.]+' is a file; a bundle is a folder\. .*unpack it"):
        open_bundle(made)
    assert sorted(bundle_path.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", "a\\b"])
def test_a_name_that_leaves_the_bundle_is_refused(bundle_path: Path, name: str) -> None:
    (bundle_path.parent / "elsewhere").write_bytes(b"x")
    list_file(bundle_path, name, b"x")
    with pytest.raises(BundleError, match="not a plain relative path inside the bundle"):
        open_bundle(bundle_path)


def test_a_file_that_is_not_listed_is_ignored_and_never_given(bundle_path: Path) -> None:
    (bundle_path / "extra.onnx").write_bytes(b"anything")
    (bundle_path / "nowhere").symlink_to("missing")
    bundle = open_bundle(bundle_path)
    with pytest.raises(BundleError, match=r"lists no file 'extra\.onnx'"):
        bundle.read("extra.onnx")


def test_a_size_that_no_memory_holds_is_refused(bundle_path: Path) -> None:
    list_file(bundle_path, "notes.txt", b"")
    (bundle_path / "notes.txt").write_bytes(b"")
    with changed(bundle_path / "manifest.json") as raw:
        raw["files"]["notes.txt"]["bytes"] = 1 << 61
    with pytest.raises(BundleError, match=r"notes\.txt' has 0 bytes, but the manifest says 2305843009213693952"):
        open_bundle(bundle_path)


def test_a_bundle_without_golden_set_is_refused(bundle_path: Path) -> None:
    files = {"model.onnx": (bundle_path / "model.onnx").read_bytes()}
    (bundle_path / "manifest.json").write_bytes(as_sealed(manifest_of(files)))
    with pytest.raises(BundleError, match=r"lists no file 'golden\.safetensors'"):
        open_bundle(bundle_path)


def test_external_data_is_refused_at_opening_though_every_hash_is_right(tmp_path: Path) -> None:
    model = tiny_model()
    model.graph.initializer[1].data_location = 1
    path = write_bundle(tmp_path / "outside", model=model.SerializeToString())
    with pytest.raises(BundleError, match=r"model\.onnx': tensor 'weight' has its data outside"):
        open_bundle(path)


def test_a_network_that_the_backend_refuses_names_its_file(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "odd", model=tiny_onnx(side=9)))
    with pytest.raises(BundleError, match=r"odd/model\.onnx': .*another form"):
        open_session(bundle, provider="cpu")


def test_an_unknown_backend_offers_the_nearest(bundle_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown backend 'onxruntime'\. Nearest: 'onnxruntime'\. Known: onnxruntime"):
        open_session(open_bundle(bundle_path), backend="onxruntime")


def test_the_newest_bundle_is_the_one_written_last(tmp_path: Path) -> None:
    golden, model = tiny_golden(), tiny_onnx()
    for number, name in enumerate(("b", "c", "a", ".hidden.tmp")):
        path = write_bundle(tmp_path / "bundles" / name, model=model, golden=golden)
        os.utime(path / "manifest.json", (number, number))
    (tmp_path / "bundles" / "unfinished").mkdir()
    assert find_newest_bundle(tmp_path).name == "a"


@pytest.mark.parametrize("newest", ["bundles/one", "copied", "."])
def test_the_newest_bundle_may_lie_here_or_be_the_folder_itself(tmp_path: Path, newest: str) -> None:
    """As `scp -r` leaves it on a device, or where a user has changed into it."""
    first = write_bundle(tmp_path / "bundles" / "one")
    shutil.copytree(first, tmp_path / "copied")
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.rglob("manifest.json"):
        os.utime(path, (1, 1))
    os.utime(tmp_path / newest / "manifest.json", (2, 2))
    assert find_newest_bundle(tmp_path) == tmp_path / newest


def test_another_folder_with_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "one")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "manifest.json").write_text("{}")
    assert find_newest_bundle(tmp_path) == path


@pytest.mark.parametrize("there", [True, False])
def test_no_bundle_at_all_says_where_was_looked_and_how_to_make_one(tmp_path: Path, there: bool) -> None:
    here = tmp_path if there else tmp_path / "nowhere"
    with pytest.raises(BundleError, match=rf"No bundle in '{here}', .* bundles/\. .*make one: sskt-edge export"):
        find_newest_bundle(here)


def test_a_bundle_that_gets_further_files_is_protected_from_then_on(bundle_path: Path) -> None:
    of_before(bundle_path / "manifest.json", schema_version=2)
    older = open_bundle(bundle_path)
    newer = older.with_files({"engines/a.plan": b"a"})
    assert (older.manifest.is_protected, newer.manifest.is_protected) == (False, True)


def test_what_a_bundle_no_longer_lists_is_removed_after_the_manifest(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = open_bundle(bundle_path).with_files({"engines/a.plan": b"a", "engines/b.plan": b"b"})
    there = []

    def watched(path: Path, content: bytes) -> None:
        there.append((path.name, (bundle_path / "engines/a.plan").exists()))
        write_atomically(path, content)

    monkeypatch.setattr(module, "write_atomically", watched)
    changed = bundle.with_files({"engines/b.plan": b"other"}, without=["engines/a.plan", "engines/b.plan"])
    assert there == [("b.plan", True), ("manifest.json", True)]
    assert "engines/a.plan" not in changed.manifest.files and not (bundle_path / "engines/a.plan").exists()
    assert changed.read("engines/b.plan") == b"other"
