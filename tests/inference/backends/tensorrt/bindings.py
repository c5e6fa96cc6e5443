"""What the Python bindings of TensorRT and CUDA offer, version by version, as they say it themselves when imported.

The wheels hold the bindings without the libraries, which no machine but a GPU's needs. To import them all the same they
get empty libraries of the names that they ask for. Run as a script it prints the surface of one module.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

# class, "" for the module itself → name → what its docstring says if it can be called, else null
Surface = dict[str, dict[str, str | None]]

_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
_ENTRIES = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL"),
    *("createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getNvOnnxParserVersion"),
    *("getBuilderPluginRegistry", "getPluginRegistry", "initLibNvInferPlugins"),
)


class NotHereError(Exception):
    """The wheel, or what its bindings need to be imported, is not to be had here."""


def installed(module: str) -> Surface:
    """The surface of a module that is installed."""
    return _surface_in("", module)


def of_wheel(requirement: str, module: str, folder: Path) -> Surface:
    """The surface of a module in a wheel from the package index, downloaded to `folder`, without what it depends on.

    Raises:
        NotHereError: the index has no such wheel for this Python and machine, or there is no C compiler.
    """
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=1"]
    done = subprocess.run([*pip, requirement], cwd=folder, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        raise NotHereError(f"{requirement}: {(done.stderr.strip().splitlines() or ['pip says nothing'])[-1]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder)
    if module == "tensorrt_bindings":
        _add_empty_libraries(folder / module)
    return _surface_in(str(folder), module)


def error_of_a_runtime_on_an_empty_library(folder: Path) -> str:
    """The name of the error that Runtime(logger) raises where the library makes none; `folder` as of_wheel left it."""
    code = (
        "import tensorrt_bindings as trt\n"
        "try: trt.Runtime(trt.Logger())\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _add_empty_libraries(folder: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotHereError("the bindings are imported on an empty library, which needs a C compiler")
    source = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in _ENTRIES)
    empty = folder / "empty.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-xc", "-", "-o", empty], input=source, text=True, check=True)
    wanted = (folder / "tensorrt.so").read_bytes()
    for library in _LIBRARIES:
        for major in (10, 11):
            if f"lib{library}.so.{major}".encode() in wanted:
                shutil.copy(empty, folder / f"lib{library}.so.{major}")


def _surface_in(folder: str, module: str) -> Surface:
    """In a process of its own: the versions do not get along in one."""
    done = subprocess.run([sys.executable, __file__, folder, module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    surface: Surface = json.loads(done.stdout)
    return surface


def describe(module: Any) -> Surface:
    """The names of a module and of each of its classes, and of the classes inside those."""
    surface: Surface = {"": _members(module)}
    for name, value in vars(module).items():
        if isinstance(value, type):
            surface[name] = _members(value)
            inner = {n: v for n, v in vars(value).items() if isinstance(v, type)}
            surface |= {f"{name}.{n}": _members(v) for n, v in inner.items()}
    return surface


def _members(owner: Any) -> dict[str, str | None]:
    # An instance of an Enum has these; its class does not list them.
    found: dict[str, str | None] = dict.fromkeys(("name", "value")) if is_enum(owner) else {}
    for name in dir(owner):
        value = getattr(owner, name, None)
        if isinstance(value, ModuleType):
            continue
        # A class is called as its __init__ says.
        said = getattr(value, "__init__") if isinstance(value, type) else value  # noqa: B009
        lines = str(said.__doc__ or "").splitlines()
        found[name] = "\n".join(line for line in lines if "(" in line) if callable(value) else None
    return found


def is_enum(owner: Any) -> bool:
    """Python's own, or CUDA's, which look the same but are not."""
    return isinstance(owner, type) and hasattr(owner, "__members__")


def main() -> None:
    folder, name = sys.argv[1:]
    if folder:
        sys.path.insert(0, folder)
    module = importlib.import_module(name)
    print(json.dumps(describe(module)))


if __name__ == "__main__":
    main()
