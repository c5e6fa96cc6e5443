from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.machine.probe import Answer, ask, number_of, text_of
from tests.machine.fake_machine import program


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_a_program_that_is_not_installed_gives_no_answer() -> None:
    assert ask("no-such-program-anywhere") is None


def test_a_program_that_hangs_is_left_alone(programs: Path) -> None:
    program(programs, "hangs", "#!/bin/sh\necho half an answer\nexec sleep 600\n")
    assert ask("hangs", seconds=0.2) == Answer("", "hangs did not respond within 0.2 s")


def test_what_a_program_says_when_it_fails_is_told(programs: Path) -> None:
    text = "Failed to initialize NVML:\n  Driver/library version mismatch\n"
    program(programs, "fails", f"#!/bin/sh\nprintf '{text}'\nexit 18\n")
    answer = ask("fails")
    assert answer is not None
    assert answer.fault == "fails failed: Failed to initialize NVML: Driver/library version mismatch"


def test_a_program_that_does_not_start_or_speaks_no_text_raises_nothing(programs: Path) -> None:
    program(programs, "broken", "\x7fELF and then nothing")
    program(programs, "binary", "#!/bin/sh\nprintf '\\377\\376 4090'\n")
    broken, binary = ask("broken"), ask("binary")
    assert broken is not None and broken.fault
    assert binary is not None and binary.text.endswith(" 4090") and not binary.fault


def test_files_of_the_kernel_are_read_without_their_padding(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5\0")
    (tmp_path / "empty").touch()
    (tmp_path / "clock").write_text("1728000\n")
    assert text_of(tmp_path / "model") == "Raspberry Pi 5"
    assert text_of(tmp_path / "empty") is None
    assert text_of(tmp_path / "missing") is None
    assert number_of(tmp_path / "clock", 1e3) == 1728
    assert number_of(tmp_path / "model") is None
    assert number_of(tmp_path) is None


@pytest.mark.parametrize("path", ["", ".", ":{real}", "{real}:", ".:{real}", "tools:{real}", "{real}:./tools"])
def test_a_program_in_the_current_folder_is_never_run(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "tools"):
        folder.mkdir(exist_ok=True)
        program(folder, "nvidia-smi", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "real").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path.format(real=tmp_path / "real"))
    assert ask("nvidia-smi") is None
    assert not (tmp_path / "ran").exists()
    program(tmp_path / "real", "nvidia-smi", "#!/bin/sh\necho real\n")
    assert ask("nvidia-smi") == (Answer("real\n") if "real" in path else None)
