"""sskt-edge predict: what is on these images?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import JsonFlag, show_json


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name for an image.")] = 3,
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8 or int8-cpu.")] = "fp32",
    backend: Annotated[str, typer.Option(help="What runs it: onnxruntime, openvino or tensorrt.")] = "onnxruntime",
    provider: Annotated[str, typer.Option(help="What it runs on: auto, cpu, cuda, tensorrt.")] = "auto",
    trust_engines: Annotated[
        bool, typer.Option("--trust-engines", help="Open engines that this machine did not build. They are programs.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Name the likeliest classes of images."""
    from rich.table import Table

    from sskt_edge.cli.console import Console
    from sskt_edge.runtime.bundle import open_bundle
    from sskt_edge.runtime.predict import predict as predict_images

    opened = open_bundle(bundle)
    session = opened.session(precision, backend, provider, trust_engines=trust_engines)
    answers = predict_images(opened, session, images, top)
    if json_:
        images_json = [{"image": str(path), "classes": dict(classes)} for path, classes in answers]
        show_json({"bundle": str(bundle), "images": images_json})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    for number in range(min(top, len(opened.manifest.classes))):
        table.add_column("likeliest" if number == 0 else f"{number + 1}.", no_wrap=True)
    for path, classes in answers:
        table.add_row(str(path), *(f"{name} {share:.1%}" for name, share in classes))
    Console().print(table, highlight=False, markup=False)
