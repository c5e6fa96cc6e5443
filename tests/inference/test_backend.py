from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.cli.doctor_tables import show_machine
from sskt_edge.common.errors import BundleError, InputError
from sskt_edge.doctor.machine import look
from sskt_edge.evaluation.evaluate import evaluate
from sskt_edge.inference.backend import Backend, backend_named
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.inference.runners import Runner, runners_here
from tests.bundle.tiny import tiny_onnx, write_bundle
from tests.inference.dummy import add_dummy


@pytest.fixture
def bundle(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """With a backend more in the catalogue."""
    add_dummy(monkeypatch)
    return open_bundle(bundle_path)


def test_every_entry_loads_a_backend_with_the_same_files() -> None:
    folder = Path(__file__).parents[2] / "sskt_edge" / "inference" / "backends"
    for name, entry in BACKENDS.items():
        backend = backend_named(name)
        assert isinstance(backend, Backend) and backend.name == entry.name == name
        assert {"backend.py", "session.py", "versions.py"} <= {path.name for path in (folder / name).iterdir()}


def test_a_backend_added_by_one_entry_is_evaluated_with_its_own_tolerance(bundle: Bundle) -> None:
    report = evaluate(bundle, open_sessions(bundle, backend="dummy"))
    assert [result.name for result in report.results] == ["fp32 dummy-abacus"] and report.passed
    assert "fp32 dummy-abacus" in [one.name for one in open_sessions(bundle, threads=1).opened]
    assert bundle.manifest.parity.fp32_allowed("dummy-abacus") == 0.25


def test_an_added_backend_is_a_runner_of_exports_and_in_every_list(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Runner("dummy", "abacus") in runners_here()
    with pytest.raises(InputError, match=", ".join(BACKENDS)):
        open_session(bundle, backend="abacus")

    machine = look()
    assert machine.backends["dummy"] == ("abacus",) and machine.as_json()["backends"]["dummy"]
    show_machine(machine, {}, "", [])
    assert "Dummy" in capsys.readouterr().out


def test_a_file_that_an_added_backend_does_not_take_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_dummy(monkeypatch)
    bundle = open_bundle(write_bundle(tmp_path / "other", model=tiny_onnx(dtype="FLOAT")))
    with pytest.raises(BundleError, match=r"model\.onnx.*another form"):
        open_session(bundle, backend="dummy")
