"""The pages of the repository, but for the kit's, which has tests of its own."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
README = REPOSITORY / "README.md"
MEASUREMENTS = sorted(REPOSITORY.glob("benchmarks/results/*.md"))
PAGES = [
    *(README, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md", REPOSITORY / "recipes" / "README.md"),
    *sorted(REPOSITORY.glob("docs/*.md")),
]


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()
