"""The verb as a user runs it: what it prints, and its exit codes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.cli.bench_table import show_benchmark
from sskt_edge.evaluation.bench_bundle import bench_bundle
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.evaluation.timing import timing_from_seconds
from sskt_edge.machine.gpus import GpuState
from sskt_edge.machine.jetson import Jetson
from tests.bundle import tiny
from tests.cli.run import Verb, sskt_edge
from tests.sealed import of_before

pytest.importorskip("onnxruntime")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with one bundle in bundles/."""
    tiny.write_bundle(tmp_path / "bundles" / "tiny")
    return tmp_path


def test_the_newest_bundle_is_measured_and_the_method_said(place: Path) -> None:
    done = sskt_edge("bench", "--runs", "1", "--threads", "1", "--backend", "onnxruntime", cwd=place)

    assert done.returncode == 0, done
    assert "measuring the newest bundle, bundles" in done.stderr
    lines = done.stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith("fp32 onnxruntime-cpu")]
    assert [row[2] for row in rows] == ["1", "4", "5"]
    assert all(row[-2:] == ["–", "–"] and int(row[-4]) == 1 for row in rows)
    for said in (
        "P50",
        "P99",
        "images/s",
        "read a JPEG",
        "Threads on a CPU: 1; pinned to core ",
        "by Pillow",
        "next: sskt-edge eval bundles",
    ):
        assert said in done.stdout


def test_json_is_one_object_alone(verb: Verb, place: Path) -> None:
    code, shown, errors = verb(
        "bench", "bundles/tiny", "--runs", "1", "--provider", "cpu", "--backend", "onnxruntime", "--json"
    )

    assert (code, errors) == (0, "")
    said = json.loads(shown)
    assert said["threads"] >= 1
    assert [one["batch"] for one in said["measurements"]] == [1, 4, 5]
    assert all(one["latency"]["n"] == 1 for one in said["measurements"])


def test_a_manifest_without_its_own_hash_is_noted(verb: Verb, place: Path) -> None:
    of_before(place / "bundles" / "tiny" / "manifest.json", schema_version=2)
    words = ("bench", "bundles/tiny", "--runs", "1", "--batch", "1", "--backend", "onnxruntime", "--provider", "cpu")

    code, said, errors = verb(*words)
    assert code == 0 and "hash" not in said and errors.count("manifest.json' was written by an older sskt-edge") == 1

    code, said, errors = verb(*words, "--json")
    (note,) = json.loads(said)["notes"]
    assert (code, errors) == (0, "") and "bundles/tiny/manifest.json" in note


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "No bundle at 'nothing'"),
        (("bundles/tiny", "--backend", "onnxruntim"), "Unknown backend 'onnxruntim'. Nearest: 'onnxruntime'"),
        (("bundles/tiny", "--precision", "fp8"), "has no fp8. It has: fp32"),
        (("bundles/tiny", "--provider", "npu"), "Unknown provider 'npu'"),
        (("bundles/tiny", "--threads", "-1"), "Invalid value for '--threads'"),
        (("bundles/tiny", "--seconds", "nan"), "Invalid value for '--seconds'"),
        (("bundles/tiny", "--seconds", "0"), "Invalid value for '--seconds'"),
        (("bundles/tiny", "--seconds", "1", "--runs", "2"), "give only one of them"),
        (("bundles/tiny", "--batch", "6"), "--batch 6"),
    ],
)
def test_a_wrong_input_gets_one_message(words: tuple[str, ...], said: str, verb: Verb, place: Path) -> None:
    code, shown, errors = verb("bench", *words)

    assert (code, shown) == (2, ""), errors
    assert said in errors


def test_a_broken_network_fails_with_1(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "BIAS", np.array([0, np.inf, 0], dtype=np.float32))
    path = tiny.write_bundle(tmp_path / "broken")

    code, _, errors = verb("bench", str(path), "--runs", "1")

    assert (code, "not finite numbers" in errors) == (1, True), errors


def test_a_device_its_copies_and_its_pace_are_shown(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = bench_bundle(
        open_bundle(place / "bundles" / "tiny"), backend="onnxruntime", provider="cpu", threads=1, effort=Exactly(1)
    )
    phases = {
        name: timing_from_seconds([ms / 1e3]) for name, ms in {"copy_in": 1, "compute": 40, "copy_out": 2}.items()
    }
    device = dataclasses.replace(
        found.after,
        gpus=(GpuState(name="Some GPU", driver="580.1", sm_clock_mhz=1500, max_sm_clock_mhz=1980, temperature_c=61),),
        jetson=Jetson("Some Jetson", "36.4", "6", "15W", 300, 300, 600, 55.4),
    )
    half_a_second = timing_from_seconds([0.5])
    first, *others = (dataclasses.replace(one, latency=half_a_second) for one in found.measurements)
    throttled = dataclasses.replace(first, phases=phases, turns=(0.01, 0.02))

    show_benchmark(dataclasses.replace(found, after=device, measurements=(throttled, *others)), Path("tiny"))

    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines() if line.startswith("fp32")]
    assert rows[0][-2:] == ["3.000", "40.00"]
    assert [row[-3] for row in rows] == ["2", "8", "10"]  # images a second
    for part in (
        "Some GPU, driver 580.1, 1500 MHz of 1980, 61 °C at the end",
        "Some Jetson, mode 15W, 300 MHz of 600, 55 °C at the end",
        "speed varied in 1 of 3 measurements, at worst between 10.00 and 20.00 ms",
    ):
        assert part in said


def test_how_long_it_takes_is_said_before_it_is_measured(place: Path, verb: Verb) -> None:
    words = ("bench", "bundles/tiny", "--backend", "onnxruntime", "--provider", "cpu", "--seconds")
    code, _, said = verb(*words, "1")
    assert (code, "measuring 1 session at batch 1, 4, 5: about " in said) == (0, True), said

    code, _, said = verb(*words, "0.01")
    assert code in (0, 2) and "Traceback" not in said
