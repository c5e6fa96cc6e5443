"""Where the programs of the system lie: in the folders of PATH, and never in the current one.

On Windows a program that is started by its bare name is looked for in the current folder first, so that a file
`nvidia-smi.exe` in a folder that was unpacked would run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

_WINDOWS_ENDINGS = (".com", ".exe")


def find_program(name: str) -> Path | None:
    """The whole path of a program; None if no folder of PATH has it."""
    for place in places_of(name, os.environ.get("PATH", os.defpath), windows=os.name == "nt"):
        path = Path(place)
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def places_of(name: str, path: str, windows: bool) -> Iterator[PurePath]:
    r"""Where a program may lie, in order: in the folders of PATH that are whole paths.

    Args:
        name: without a folder.
        path: the value of PATH.
        windows: by the rules of Windows; else of POSIX, where an empty folder means the current one.

    >>> [str(place) for place in places_of("nvidia-smi", r".;;C:\Windows\System32;tools", windows=True)]
    ['C:\\Windows\\System32\\nvidia-smi.com', 'C:\\Windows\\System32\\nvidia-smi.exe']
    """
    kind = PureWindowsPath if windows else PurePosixPath
    for part in path.split(";" if windows else ":"):
        folder = kind(part.strip('"') if windows else part)
        if folder.is_absolute():
            yield from (folder / f"{name}{ending}" for ending in (_WINDOWS_ENDINGS if windows else ("",)))
