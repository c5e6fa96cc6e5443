from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.data.ready import load_checked
from tests.data.small import write_classes
from tests.recipe.small import SCRATCH

TEXT = SCRATCH.replace('"digits"', '"imagefolder", root = "photos"')
FROM_THE_COMMAND_LINE = """
import sys
from sskt_edge.cli.main import main
sys.argv = ["sskt-edge", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    print(end.code, "torch" in sys.modules)
"""


def test_images_that_do_not_lie_as_they_must_are_met_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT)
    write_classes(tmp_path / "photos", {"cats": 2, "dogs": 2})
    assert load_checked(str(tmp_path / "mine.toml")).data.root == (tmp_path / "photos").as_posix()

    for image in (tmp_path / "photos" / "dogs").iterdir():
        image.unlink()
    with pytest.raises(DataError, match="dogs"):
        load_checked(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("words", [("train",), ("train", "--resume"), ("compare",), ("sweep",), ("labels", "plan")])
def test_a_mistake_is_met_before_torch_is_loaded(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT)
    command = [sys.executable, "-c", FROM_THE_COMMAND_LINE, *words, "mine.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n", done.stderr
