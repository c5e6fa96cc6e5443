"""How far apart are the perceptual hashes of an image and its copy, and those of two different photographs?

    python -m benchmarks.near_copies FOLDER [--sheet PAIRS.png]

FOLDER holds photographs, in any sub-folders. Copies of each are made at full, half and quarter size and encoded as JPEG
with quality 60, 75 and 90. It prints the distances, in bits out of 256, between the photographs and their copies, then
how many pairs of photographs are within each distance. --sheet draws the nearest pairs for visual inspection.
"""

from __future__ import annotations

import argparse
import io
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sskt_edge.common.progress import QUIET
from sskt_edge.data.near_copies import NEAR, SIZE, perceptual_hashes
from sskt_edge.images.decode import decode, read_image, to_square
from sskt_edge.images.listing import list_images, load

SCALES = (1.0, 0.5, 0.25)
QUALITIES = (60, 75, 90)
DISTANCES = (0, 8, 16, 24, 32, 40, 48, NEAR, 64, 72, 80, 88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    listing = list_images(options.folder)
    squares = load(listing, [SIZE]).resized[SIZE]
    start = time.perf_counter()
    bits = perceptual_hashes(squares, QUIET)
    hashed = time.perf_counter()
    signs = np.where(bits, np.float32(1), np.float32(-1))
    apart = np.triu((signs.shape[1] - signs @ signs.T) / 2, 1)
    compared = time.perf_counter()
    print(
        f"{len(bits)} photographs; ImageHash {version('ImageHash')}, pillow {version('pillow')}, "
        f"scipy {version('scipy')}; hashed in {hashed - start:.1f} s, compared in {compared - hashed:.1f} s\n"
    )
    print("| copies of size | JPEG quality | median | of 99 % | largest |\n|---|---|---|---|---|")
    for scale in SCALES:
        for quality in QUALITIES:
            copies = np.stack([copy(path, scale, quality) for path in listing.paths])
            moved = (perceptual_hashes(copies, QUIET) != bits).sum(axis=1)
            row = f"{np.median(moved):.0f} | {np.percentile(moved, 99):.0f} | {moved.max()}"
            print(f"| {scale:g} | {quality} | {row} |", flush=True)
    pairs = apart[np.triu_indices(len(bits), 1)]
    print(f"\nOf {len(pairs):,} pairs of photographs, within a distance:\n")
    print("| " + " | ".join(str(distance) for distance in DISTANCES) + " |\n" + "|---" * len(DISTANCES) + "|")
    print("| " + " | ".join(str(int((pairs <= distance).sum())) for distance in DISTANCES) + " |")
    if options.sheet:
        draw(listing.paths, apart, options.sheet)


def copy(path: Path, scale: float, quality: int) -> NDArray[np.uint8]:
    """The square of a photograph that was resized and encoded again."""
    image = read_image(path)[1]
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return to_square(decode(file.getvalue(), str(path)), SIZE)


def draw(paths: list[Path], apart: NDArray[np.float32], sheet: Path, side: int = 150, wide: int = 6) -> None:
    """The pairs within the largest distance, nearest first, each under its distance."""
    pairs = np.argwhere(np.triu(apart <= DISTANCES[-2], 1))
    pairs = pairs[np.argsort([apart[one, other] for one, other in pairs], kind="stable")]
    page = Image.new("RGB", (wide * (2 * side + 10), -(-len(pairs) // wide) * (side + 14)), "white")
    pen = ImageDraw.Draw(page)
    for number, (one, other) in enumerate(pairs):
        left, top = number % wide * (2 * side + 10), number // wide * (side + 14)
        pen.text((left, top), str(int(apart[one, other])), fill="black")
        for place, path in enumerate((paths[one], paths[other])):
            image = read_image(path)[1]
            image.thumbnail((side, side))
            page.paste(image, (left + place * side, top + 12))
    page.save(sheet)


if __name__ == "__main__":
    main()
