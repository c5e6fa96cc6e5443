"""What is read from a Jetson's files. They are laid out here as those devices have them; no Jetson ran this."""

from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.machine.jetson import Jetson, find_jetson
from tests.machine.fake_machine import jetson, lay_out, program


@pytest.fixture(autouse=True)
def _no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_everything_is_read_in_its_unit(tmp_path: Path) -> None:
    assert find_jetson(jetson(tmp_path)) == Jetson(
        model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        l4t="36.4.3",
        jetpack="6",
        power_mode="MAXN_SUPER",
        gpu_clock_mhz=306,
        gpu_min_clock_mhz=306,
        gpu_max_clock_mhz=1020,
        gpu_temperature_c=49.531,
    )


@pytest.mark.parametrize(("jetpack", "l4t"), [("5", "35.4.1"), ("6", "36.4.3"), ("7", "39.2.0")])
def test_the_jetpack_follows_from_the_linux(tmp_path: Path, jetpack: str, l4t: str) -> None:
    found = find_jetson(jetson(tmp_path, jetpack))
    assert found is not None and (found.jetpack, found.l4t) == (jetpack, l4t)


def test_a_newer_linux_is_a_jetson_with_an_unknown_jetpack(tmp_path: Path) -> None:
    jetson(tmp_path)
    lay_out(tmp_path, {"etc/nv_tegra_release": "# R51 (release), REVISION: 1.0, GCID: 1\n"})
    found = find_jetson(tmp_path)
    assert found is not None and (found.jetpack, found.l4t) == (None, "51.1.0")


@pytest.mark.parametrize("devfreq", ["17000000.gpu", "17000000.ga10b", "17000000.gv11b", "gpu-gpc-0"])
def test_the_gpus_clock_is_found_under_each_of_its_names(tmp_path: Path, devfreq: str) -> None:
    found = find_jetson(jetson(tmp_path, devfreq=devfreq))
    assert found is not None and found.gpu_clock_mhz == 306


def test_the_clock_of_another_device_is_not_the_gpus(tmp_path: Path) -> None:
    found = find_jetson(jetson(tmp_path, devfreq="gpu-nvd-0"))
    assert found is not None and found.gpu_clock_mhz is None


def test_a_mode_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    found = find_jetson(jetson(tmp_path, mode="pmode:0007 fmode:quiet"))
    assert found is not None and found.power_mode == "mode 7"


def test_nvpmodel_is_asked_where_no_mode_was_chosen_yet(tmp_path: Path) -> None:
    jetson(tmp_path, mode=None)
    found = find_jetson(tmp_path)
    assert found is not None and found.power_mode is None
    program(tmp_path / "bin", "nvpmodel", "#!/bin/sh\necho NV Power Mode: 25W\necho 1\n")
    found = find_jetson(tmp_path)
    assert found is not None and found.power_mode == "25W"


def test_a_container_that_has_the_model_alone_is_a_jetson(tmp_path: Path) -> None:
    lay_out(tmp_path, {"proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"})
    found = find_jetson(tmp_path)
    assert found is not None
    assert (found.model, found.l4t, found.jetpack) == ("NVIDIA Jetson AGX Orin Developer Kit", None, None)


def test_another_board_is_no_jetson(tmp_path: Path) -> None:
    assert find_jetson(tmp_path) is None
    assert find_jetson(lay_out(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"})) is None
