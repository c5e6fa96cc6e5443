"""Not run against a Triton yet, only against a stand-in. Asks a server that serves a bundle.

    python ask.py URL MODEL BUNDLE [IMAGE…]

Without images it sends the golden images and compares the answers with the trained network's; the exit code is 1 if
they do not hold. It needs the base package of sskt-edge alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.common.errors import InputError, SsktEdgeError, WorkError
from sskt_edge.common.printable import printable, printable_lines
from sskt_edge.evaluation.parity import compare_logits
from sskt_edge.evaluation.predict import predict
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.inference.session import INPUT_NAME, OUTPUT_NAME, run_batches

_SECONDS = 60


class TritonSession:
    """A model of a Triton server, as a session: uint8 [N,S,S,3] → float32 [N,classes]."""

    backend = "triton"
    provider = "remote"
    precision = "of the model"

    def __init__(self, url: str, model: str, max_batch: int) -> None:
        self.url = f"{url.rstrip('/')}/v2/models/{model}/infer"
        self.max_batch = max_batch
        self.versions: dict[str, str] = {}

    def run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Send a batch and return its logits.

        Raises:
            WorkError: the server does not answer, or answers something else.
        """
        pixels = np.ascontiguousarray(images).tobytes()
        tensor = {
            "name": INPUT_NAME,
            "shape": list(images.shape),
            "datatype": "UINT8",
            "parameters": {"binary_data_size": len(pixels)},
        }
        wanted = {"name": OUTPUT_NAME, "parameters": {"binary_data": True}}
        head = json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
        request = urllib.request.Request(
            self.url,
            head + pixels,
            {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))},
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                length, body = answer.headers["Inference-Header-Content-Length"], answer.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise WorkError(f"{self.url} answers {error.code}: {said}. See which models it has loaded.") from error
        except OSError as error:
            raise WorkError(f"{self.url} does not answer: {error}. See whether it is ready.") from error
        if length is None:
            raise WorkError(f"{self.url} answers without Inference-Header-Content-Length; it is not Triton. Check it.")
        (output,) = json.loads(body[: int(length)])["outputs"]
        return np.frombuffer(body[int(length) :], dtype="<f4").reshape(output["shape"]).astype(np.float32)


def prove(bundle: Bundle, session: TritonSession, model: str) -> int:
    """Compare the answers to the golden images with the trained network's; return the exit code."""
    precision = precision_of(bundle, model)
    golden, task = bundle.golden(), bundle.task
    answers = run_batches(session, golden.images, session.max_batch, golden.logits.shape[1])
    parity = compare_logits(golden.logits, answers, task)
    # Judged as what runs on a GPU is, wherever it runs.
    reasons, undecided = verdict(precision, "tensorrt-cuda", parity, bundle.manifest.parity, task)
    same, most = f"{parity.agreement.share:.2%} {task.same}", f"logits differ by {parity.max_abs:.1e} at most"
    print(f"{model}: {parity.images} golden images, {same}, {most}")
    print("\n".join(["does NOT hold", *reasons] if reasons else undecided or ["holds"]))
    return 1 if reasons else 0


def precision_of(bundle: Bundle, model: str) -> str:
    """The precision with which a model's name ends.

    Raises:
        InputError: it ends with none of the bundle's.
    """
    known = list(bundle.manifest.precisions)
    for precision in known:
        if model.endswith(f"_{precision.replace('-', '_')}"):
            return precision
    raise InputError(f"'{model}' ends with no precision of the bundle; it has: {', '.join(known)}. Name its model.")


def main() -> int:
    """Read the command line, ask, print; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="such as http://localhost:8000")
    parser.add_argument("model", help="its name in the model repository")
    parser.add_argument("bundle", type=Path, help="the bundle that the repository was made of")
    parser.add_argument("images", type=Path, nargs="*", help="image files; the golden images if left out")
    given = parser.parse_args()
    try:
        bundle = open_bundle(given.bundle)
        session = TritonSession(given.url, given.model, bundle.manifest.input.batch.max)
        if not given.images:
            return prove(bundle, session, given.model)
        failed = 0
        for one in predict(bundle, session, given.images, top=3):
            if one.error is None:
                marks = (f"{found.name} {found.probability:.1%}{' *' * found.is_decided}" for found in one.classes)
                print(printable(str(one.path)), *marks)
            else:
                failed = 1
                print(f"error: {printable_lines(str(one.error))}", file=sys.stderr)
    except SsktEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return failed


if __name__ == "__main__":
    sys.exit(main())
