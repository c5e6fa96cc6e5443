"""Does a change of the code leave every trained weight, soft label and ONNX file identical, bit for bit?

    python -m benchmarks.same_bits record FILE.json [--only CASE …] [--data FLOWERS]
    python -m benchmarks.same_bits check  FILE.json [--only CASE …] [--data FLOWERS]

Small recipes are trained, and some exported, with the user's commands, on one thread. `record` writes the hashes of the
results; `check` repeats everything and prints each hash that differs. Last bits depend on the processor and on torch,
so a record must be checked on the machine and with the versions that it names. With --data, a folder of photographs
(train/<class>, test/<class>), the cases on photographs run too.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from safetensors.numpy import load_file

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "onnx", "onnxscript", "onnxruntime", "scikit-learn", "timm")

BASE = """
name = "{name}"
[data]
name = "digits"
per_class = 6
[target]
model = "resnet20"
[labels]
views = 2
engine = "torch"
precision = "fp32"
batch_size = 16
[train]
epochs = 2
batch_size = 16
device = "cpu"
precision = "fp32"
[export]
golden = 20
calibration = 20
"""
SMALL = '[[sources]]\nname = "small"\nmodel = "run/{runs}/scratch"\nview = "upsampled"\n'
PACKAGE = '[[sources]]\nname = "imagenet"\nmodel = "package/efficientnet_lite0"\nview = "upsampled"\n'
ONNX = '[[sources]]\nname = "graph"\nmodel = "onnx/{bundles}/scratch/model.onnx"\nview = "upsampled"\n'


class Case(NamedTuple):
    """A training.

    Attributes:
        sources: tables of the recipe.
        changes: KEY=VALUE beyond the base.
        stopped: it gets a Ctrl-C after its first epoch and is resumed.
        exported: precisions of the export, or none.
        photographs: it needs --data.
    """

    sources: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    stopped: bool = False
    exported: str = ""
    photographs: bool = False


SCRATCH = "method.name=scratch"
MODULE = "method.transfer_module=true"
# The order counts: later ones take the first as their source.
CASES = {
    "scratch": Case(changes=(SCRATCH, "data.per_class=40", "train.epochs=8"), exported="fp32,fp16,int8"),
    "one_source": Case((SMALL,)),
    "resumed": Case((SMALL,), changes=("train.epochs=8",), stopped=True),
    "not_stopped": Case((SMALL,), changes=("train.epochs=8",)),
    "two_sources": Case((SMALL, PACKAGE), changes=(MODULE, "method.loss=kd", "method.temperature=2.0")),
    "native": Case((PACKAGE,), changes=("sources.imagenet.view=native", "method.combine=sum", MODULE)),
    "graph": Case((ONNX,), changes=("labels.engine=onnxruntime", "labels.top_k=7")),
    "unlabelled": Case((SMALL,), changes=("data.unlabelled=rest", "data.unlabelled_ratio=0.5", "labels.views=3")),
    "best": Case((SMALL,), changes=("data.validation=0.3", "train.keep=best", "train.schedule.name=plateau")),
    "fresh": Case((SMALL,), changes=("labels.views=fresh", "data.augment.random_resized_crop=[0.3, 1.0]")),
    "online": Case((SMALL,), changes=("labels.store=false",)),
    "adamw": Case(
        (SMALL,), changes=("train.optimizer.name=adamw", "train.schedule.name=steps", "train.schedule.milestones=[1]")
    ),
    "recalibrated": Case((SMALL,), changes=("sources.small.batchnorm=recalibrated", "sources.small.alpha=0.5")),
    "fine_tuned": Case((SMALL,), changes=("target.checkpoint={runs}/scratch/primary.safetensors",)),
    "exported_only": Case(
        changes=(
            SCRATCH,
            "train.epochs=0",
            "target.checkpoint={runs}/scratch/primary.safetensors",
            "target.last_layer=kept",
        ),
        exported="fp32",
    ),
    "bf16": Case((SMALL,), changes=("train.precision=bf16", MODULE)),
    "resnet32": Case((SMALL,), changes=("target.model=resnet32",)),
    "resnet44": Case((SMALL,), changes=("target.model=resnet44",)),
    "resnet56": Case((SMALL,), changes=("target.model=resnet56",)),
    "mobilenet_v2": Case((SMALL,), changes=("target.model=mobilenet_v2",), exported="fp32,fp16,int8"),
    "mobilenet_v2_modules": Case((SMALL, PACKAGE), changes=("target.model=mobilenet_v2", MODULE)),
    "mobilenet_v2_bf16": Case((SMALL,), changes=("target.model=mobilenet_v2", "train.precision=bf16")),
    "resnet18": Case((SMALL,), changes=("target.model=resnet18", MODULE, "train.epochs=1"), exported="fp32"),
    "resnet34": Case((SMALL,), changes=("target.model=resnet34", MODULE, "train.epochs=1")),
    "resnet50": Case((SMALL,), changes=("target.model=resnet50", MODULE, "train.epochs=1")),
    "densenet121": Case((SMALL,), changes=("target.model=densenet121", MODULE, "train.epochs=1"), exported="fp32"),
    "photographs": Case(
        (PACKAGE,),
        changes=(
            "data.name=imagefolder",
            "data.root={data}",
            "data.image_size=64",
            "sources.imagenet.view=native",
            "data.unlabelled=rest",
            "data.unlabelled_ratio=1.0",
        ),
        exported="fp32,fp16,int8",
        photographs=True,
    ),
}


def edge(folder: Path, *words: str, interrupt_after: Path | None = None) -> int:
    """`sskt-edge WORDS` in `folder`, with a Ctrl-C as soon as a file `interrupt_after` has a line; its exit code.

    An export ends with 1 where a precision did not pass, as few steps of training may leave it.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "sskt_edge.cli.main", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        while interrupt_after is not None and process.poll() is None:
            if any(file.stat().st_size for file in folder.glob(str(interrupt_after))):
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.01)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    if process.returncode not in {0, 1, 130} or (process.returncode == 1 and words[0] != "export"):
        raise SystemExit(f"sskt-edge {' '.join(words)}: exit code {process.returncode}\n{said}")
    return process.returncode


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tensors_sha256(path: Path, *, without: Sequence[str] = ()) -> str:
    """Of the names, kinds and values in a safetensors file, whatever its metadata say."""
    digest = hashlib.sha256()
    for name, array in sorted(load_file(path).items()):
        if name not in without:
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def graph_sha256(path: Path) -> str:
    """Of an ONNX file's graph, without its metadata."""
    return hashlib.sha256(onnx.load(path).graph.SerializeToString(deterministic=True)).hexdigest()


def labels_of(store: Path) -> dict[str, str]:
    """Each collection's folder, whose name is the key of its facts, with a hash of its keys and values."""
    return {
        folder.name: hashlib.sha256(
            "".join(sorted(tensors_sha256(shard) for shard in folder.glob("*.safetensors"))).encode()
        ).hexdigest()
        for folder in sorted(store.glob("*/"))
    }


def made(name: str, case: Case, work: Path, data: str) -> dict[str, Any]:
    """Train, and export where the case says so: the hashes of what came out."""
    places = {"runs": "runs", "bundles": "bundles", "data": data, "name": name}
    recipe = work / f"{name}.toml"
    recipe.write_text((BASE + "".join(case.sources)).format(**places), encoding="utf-8")
    changes = [f"labels.store=labels_{name}", *(change.format(**places) for change in case.changes)]
    train = ["train", recipe.name, "--runs", f"runs_{name}", *(w for change in changes for w in ("--set", change))]
    metrics = Path(f"runs_{name}") / "*" / "metrics.jsonl"
    code = edge(work, *train, interrupt_after=metrics if case.stopped else None)
    if case.stopped:
        assert code == 130, "the training ended before it was stopped"
        edge(work, *train, "--resume")
    (run,) = (work / f"runs_{name}").iterdir()
    (work / "runs").mkdir(exist_ok=True)
    run.rename(work / "runs" / name)
    run = work / "runs" / name
    state = run / "checkpoints" / "last.safetensors"
    found: dict[str, Any] = {
        "weights": sha256(run / "primary.safetensors"),
        "state": tensors_sha256(state) if state.is_file() else None,
        "golden": tensors_sha256(run / "golden.safetensors"),
        "labels": labels_of(work / f"labels_{name}"),
    }
    if case.exported:
        bundle = work / "bundles" / name
        found["export"] = edge(work, "export", f"runs/{name}", "--out", f"bundles/{name}", "--precision", case.exported)
        files = sorted(bundle.glob("*.onnx"))
        found["onnx"] = {file.name: sha256(file) for file in files}
        found["graphs"] = {file.name: graph_sha256(file) for file in files}
    return found


def machine() -> dict[str, str]:
    """What the last bits depend on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"processor": cpu[0].partition(":")[2].strip(), "python": platform.python_version(), **versions}


def differences(before: Any, now: Any, where: str) -> list[str]:
    """The places at which two trees of hashes differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [line for key in keys for line in differences(before.get(key), now.get(key), f"{where}.{key}")]
    return [] if before == now else [f"{where}: {before} before, {now} now"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("record", "check"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", nargs="+", choices=CASES, default=[])
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    needed = {"scratch", *given.only} if given.only else set(CASES)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            if name in needed and (given.data or not case.photographs):
                start = time.perf_counter()
                data = str(given.data.resolve()) if given.data else ""
                found[name] = made(name, case, Path(folder), data)
                print(f"{name:22} {time.perf_counter() - start:6.1f} s", flush=True)
    if found.get("resumed", {}).get("weights") != found.get("not_stopped", {}).get("weights"):
        raise SystemExit("the resumed training has other weights than the one that was not stopped")
    here = {"machine": machine(), "cases": found}
    if given.what == "record":
        given.file.write_text(json.dumps(here, indent=1) + "\n", encoding="utf-8")
        return
    before = json.loads(given.file.read_text(encoding="utf-8"))
    differ = differences(before["machine"], here["machine"], "machine")
    differ += [line for name in found for line in differences(before["cases"].get(name), found[name], name)]
    print("\n".join(differ) or f"the same in all {len(found)} cases")
    raise SystemExit(bool(differ))


if __name__ == "__main__":
    main()
