from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from sskt_edge.machine import programs
from sskt_edge.machine.programs import find_program, places_of


@pytest.mark.parametrize("folder", ["", ".", "tools", r".\tools", r"\tools", "C:", "C:tools", '"tools"', ".."])
def test_on_windows_no_folder_that_depends_on_the_current_one_is_looked_into(folder: str) -> None:
    found = [str(place) for place in places_of("nvidia-smi", rf"{folder};C:\Windows\System32", windows=True)]
    assert found == [r"C:\Windows\System32\nvidia-smi.com", r"C:\Windows\System32\nvidia-smi.exe"]


def test_on_windows_quotes_and_shares_are_whole_paths() -> None:
    found = [str(place) for place in places_of("x", r'"C:\Program Files\NVIDIA";\\server\tools', windows=True)]
    assert found[1::2] == [r"C:\Program Files\NVIDIA\x.exe", r"\\server\tools\x.exe"]


def test_on_posix_the_order_of_the_folders_counts() -> None:
    assert [str(place) for place in places_of("x", ":/usr/bin:bin:.:/bin", windows=False)] == ["/usr/bin/x", "/bin/x"]


def test_a_folder_or_a_file_that_may_not_run_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").touch(0o600)
    assert find_program("folder") is None
    assert find_program("text") is None


def test_the_example_of_the_docstring_holds() -> None:
    assert doctest.testmod(programs).failed == 0
