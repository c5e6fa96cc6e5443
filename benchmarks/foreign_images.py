"""Write a folder of unlabelled images of which some show none of the task's classes.

    python -m benchmarks.foreign_images FLOWERS/train VOCdevkit/VOC2007/JPEGImages mixed --count 315
    sskt-edge train flowers --set data.root=FLOWERS --set data.unlabelled=mixed

The folder holds copies of all images of the first folder and of the first COUNT images of the second, by name. Training
leaves out those that are copies of labelled, validation or test images.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path


def write_mixed(own: Path, foreign: Path, folder: Path, count: int) -> None:
    """Copy all of `own` and the first `count` files of `foreign` to a new folder."""
    chosen = sorted(foreign.glob("*.jpg"))[:count]
    if len(chosen) < count:
        raise SystemExit(f"{foreign}: {len(chosen)} JPEG files; {count} were asked for")
    shutil.copytree(own, folder / "own")
    (folder / "foreign").mkdir()
    for path in chosen:
        shutil.copy(path, folder / "foreign")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("own", type=Path, help="the task's images")
    parser.add_argument("foreign", type=Path, help="images of something else")
    parser.add_argument("folder", type=Path, help="to be made")
    parser.add_argument("--count", type=int, required=True, help="foreign images")
    given = parser.parse_args()
    write_mixed(given.own, given.foreign, given.folder, given.count)


if __name__ == "__main__":
    main()
