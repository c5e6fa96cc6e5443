"""sskt-edge predict: predict the classes of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.catalogue.backends import BACKENDS, provider_names
from sskt_edge.cli.output import Bars, JsonFlag, show_error, show_json


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    images: Annotated[
        list[Path], typer.Argument(help="Image files and folders; a folder stands for all images in it.")
    ],
    top: Annotated[
        int, typer.Option(min=1, help="Classes to show per image; more if the network decides on more.")
    ] = 3,
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8 or int8-cpu.")] = "fp32",
    backend: Annotated[
        str, typer.Option(help=f"The library that runs it: one of {', '.join(BACKENDS)}.")
    ] = "onnxruntime",
    provider: Annotated[
        str, typer.Option(help=f"The provider it runs on: auto or one of {', '.join(provider_names())}.")
    ] = "auto",
    trust_engines: Annotated[
        bool,
        typer.Option(
            "--trust-engines", help="Open engines that this machine did not build. An engine can run any code."
        ),
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Show the likeliest classes of images.

    The exit code is 1 if some images have no prediction, and 2 if no image can be read.
    """
    from sskt_edge.bundle.bundle import open_bundle
    from sskt_edge.cli.predict_table import show_predictions
    from sskt_edge.common.progress import QUIET
    from sskt_edge.evaluation.predict import predict as predict_images
    from sskt_edge.inference.open_session import open_session

    progress = QUIET if json_ else Bars()
    opened = open_bundle(bundle)
    for note in opened.notes:
        progress.say(note)
    session = open_session(opened, precision, backend, provider, trust_engines=trust_engines)
    found = predict_images(opened, session, images, top, progress)
    if json_:
        show_json({"bundle": str(bundle), "notes": opened.notes, "images": found})
    else:
        show_predictions(found)
    failed = [one.error for one in found if one.error is not None]
    for error in failed:
        show_error(str(error))
    if failed:
        raise typer.Exit(1 if len(failed) < len(found) else failed[0].exit_code)
