"""The image formats that can be read, with their file endings: one list for the decoder and for folders."""

from __future__ import annotations

import importlib
from functools import cache

from PIL import features

# By Pillow's names. The list is explicit, because every other decoder would only be one more target for an attack.
_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    "HEIF": (".heic", ".heif"),
}
# Pillow's names for the libraries that it may have been built without.
_LIBRARIES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
_REMEDIES = {
    "WEBP": "needs a Pillow with WebP",
    "AVIF": "needs Pillow 11.3 or newer",
    "JPEG2000": "needs a Pillow with OpenJPEG",
    "HEIF": "needs: pip install pillow-heif",
}
_OTHER_IMAGES = (
    *(".tga", ".psd", ".ico", ".pcx", ".dib", ".exr", ".hdr", ".jxl", ".jxr", ".svg", ".eps", ".qoi"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".heics", ".avifs"),
)


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats that this Pillow reads, by its own names. HEIF is among them if pillow-heif is installed."""
    return tuple(name for name in _FORMATS if _is_readable(name))


@cache
def image_endings() -> frozenset[str]:
    """The file endings, in lower case, that count as images on this machine."""
    return frozenset(ending for name in readable_formats() for ending in _FORMATS[name])


def remedy(ending: str) -> str:
    """How to make files with this ending readable, for a message; "" if the ending is not known as an image."""
    for name, endings in _FORMATS.items():
        if ending in endings:
            return _REMEDIES.get(name, "")
    return "convert to JPEG or PNG" if ending in _OTHER_IMAGES else ""


def _is_readable(name: str) -> bool:
    if name == "HEIF":
        return _heif_is_registered()
    library = _LIBRARIES.get(name)
    # An older Pillow does not know the name of a newer library, and warns when queried for it.
    return library is None or (library in {**features.modules, **features.codecs} and bool(features.check(library)))


def _heif_is_registered() -> bool:
    """Whether pillow-heif is installed; if so, register its format with Pillow."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True
