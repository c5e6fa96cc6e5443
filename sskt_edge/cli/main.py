"""The command `sskt-edge`: the verbs, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from sskt_edge.cli import (
    bench,
    compare,
    doctor,
    evaluate,
    export,
    front,
    labels,
    networks,
    predict,
    recipe,
    streams,
    sweep,
    train,
)
from sskt_edge.cli.output import show_error, show_json
from sskt_edge.common.errors import Interrupted, MissingExtraError, SsktEdgeError, WorkError
from sskt_edge.common.packages import extra_with, install_hint
from sskt_edge.common.version import __version__
from sskt_edge.machine.cores import threads_for

app = typer.Typer(
    name="sskt-edge",
    help="Train a compact network on the predictions of larger ones, export it, and verify it on the device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"sskt-edge {__version__}")
        raise typer.Exit


_Version = Annotated[
    bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
]


@app.callback()
def _options(_: _Version = False) -> None:
    """Options that come before the verb."""


app.command("train")(train.train)
app.command("export")(export.export)
app.command("eval")(evaluate.evaluate)
app.command("bench")(bench.bench)
app.command("predict")(predict.predict)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("front")(front.front)
app.add_typer(labels.app, name="labels")
app.add_typer(recipe.app, name="recipe")
app.command("networks")(networks.networks)
app.command("doctor")(doctor.doctor)


def main() -> NoReturn:
    """Run a verb. Exit codes: 0 success, 1 a check or the work failed, 2 invalid input, 130 or 143 a signal."""
    streams.prepare()
    if sys.platform == "win32":  # libraries start programs by bare name: do not look in the current folder
        os.environ.setdefault("NoDefaultCurrentDirectoryInExePath", "1")
    if threads := threads_for(0):  # torch and NumPy do not know of a container's CPU quota
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)
    code = _run()
    unwritten = streams.finish()
    if unwritten is not None:
        code = max(code, _say(unwritten))
    streams.finish()
    sys.exit(code)


def _run() -> int:
    """Run the verb, print its error if there is one, and return the exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (SsktEdgeError, Interrupted) as error:
        return _say(error)
    except ModuleNotFoundError as error:
        extra = extra_with((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _say(MissingExtraError(f"This command needs {error.name}. Install it with: {install_hint(extra)}"))
    except Exception as error:
        if type(error).__name__ not in {"MemoryError", "OutOfMemoryError"}:  # the second is torch's
            raise
        return _say(WorkError("Out of memory. Lower train.batch_size, labels.batch_size or data.image_size."))
    return 0


def _say(error: SsktEdgeError | Interrupted) -> int:
    """Print the message to stderr and, with --json, as an object to stdout; return the exit code."""
    if "--json" in sys.argv:
        show_json({"error": {"kind": type(error).__name__, "message": str(error)}}, indent=None)
    show_error(str(error), "stopped" if isinstance(error, Interrupted) else "error")
    return error.exit_code


def _stopped(signum: int, _: FrameType | None) -> NoReturn:
    """Turn a signal into an exception, so that temporary files are removed."""
    raise Interrupted("Stopped. Finished files are complete; unfinished ones were removed.", signum)


if __name__ == "__main__":
    main()
