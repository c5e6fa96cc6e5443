"""The client of the Triton page, against a stand-in that speaks Triton's protocol: HTTP v2 with binary tensors.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.inference.open_session import open_session
from tests.bundle.several import striped, write_several
from tests.bundle.tiny import coloured, write_bundle
from tests.export.pages import KIT, blocks

ASK = KIT / "triton" / "ask.py"


class Server(ThreadingHTTPServer):
    """Serves a bundle's fp32 file as tiny_fp32 and, with answers of its own, as off_fp32; refuses large batches."""

    def __init__(self, bundle: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        opened = open_bundle(bundle)
        self.session = open_session(opened, provider="cpu", threads=1)
        self.largest = opened.manifest.input.batch.max
        self.batches: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request: JSON of the announced length, then the pixels; the answer likewise."""

    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        length = int(self.headers["Inference-Header-Content-Length"])
        told = json.loads(body[:length])
        model = self.path.split("/")[3]
        (given,), (wanted,) = told["inputs"], told["outputs"]
        pixels = body[length:]
        batch = given["shape"][0]
        if self.path != f"/v2/models/{model}/infer" or model not in ("tiny_fp32", "off_fp32"):
            return self._answer(404, json.dumps({"error": "unknown model"}).encode())
        assert (given["name"], given["datatype"], wanted["name"]) == ("images", "UINT8", "logits")
        assert given["parameters"]["binary_data_size"] == len(pixels) == np.prod(given["shape"])
        assert wanted["parameters"] == {"binary_data": True}
        if batch > self.server.largest:
            return self._answer(400, json.dumps({"error": "batch"}).encode())
        self.server.batches.append(batch)
        logits = self.server.session.run(np.frombuffer(pixels, dtype=np.uint8).reshape(given["shape"]))
        logits = np.roll(logits, 1, axis=1) if model == "off_fp32" else logits
        data = logits.astype("<f4").tobytes()
        output = {"name": "logits", "datatype": "FP32", "shape": list(logits.shape)}
        head = json.dumps({"outputs": [{**output, "parameters": {"binary_data_size": len(data)}}]}).encode()
        return self._answer(200, head + data, **{"Inference-Header-Content-Length": str(len(head))})

    def _answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(write_bundle(tmp_path / "bundle")) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def of_several(tmp_path: Path) -> Iterator[Server]:
    with Server(write_several(tmp_path / "several")) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def ask(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = [sys.executable, str(ASK), *words]
    return subprocess.run(command, cwd=cwd, env=bare, capture_output=True, text=True, check=False)


def test_golden_images_that_come_back_right_hold(server: Server, tmp_path: Path) -> None:
    done = ask(server.url, "tiny_fp32", "bundle", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "6 golden images, 100.00% same class" in done.stdout
    assert done.stdout.endswith("holds\n")
    assert sum(server.batches) == 6
    assert max(server.batches) <= server.largest


def test_of_several_classes_the_decisions_hold(of_several: Server, tmp_path: Path) -> None:
    done = ask(of_several.url, "tiny_fp32", "several", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8 golden images, 100.00% same decisions" in done.stdout

    Image.fromarray(striped(("red", "green"), 0)).save(tmp_path / "both.png")
    done = ask(of_several.url, "tiny_fp32", "several", "both.png", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count(" *") == 2, done.stderr


def test_golden_images_that_come_back_otherwise_do_not(server: Server, tmp_path: Path) -> None:
    done = ask(server.url, "off_fp32", "bundle", cwd=tmp_path)

    assert done.returncode == 1, done.stderr
    assert "does NOT hold" in done.stdout
    assert "logits differ" in done.stdout


def test_images_get_their_classes(server: Server, tmp_path: Path) -> None:
    for name in ("green", "red"):
        Image.fromarray(coloured(name, 2)).save(tmp_path / f"{name}.png")

    done = ask(server.url, "tiny_fp32", "bundle", "green.png", "red.png", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["green.png", "green"], ["red.png", "red"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["{url}", "nix_fp32", "bundle"], 1, "answers 404"),
        (["{url}", "tiny", "bundle"], 2, "ends with no precision"),
        (["{url}", "tiny_fp32", "nix"], 2, "No bundle"),
        (["http://127.0.0.1:9", "tiny_fp32", "bundle"], 1, "does not answer"),
    ],
)
def test_what_goes_wrong_is_one_line(words: list[str], code: int, says: str, server: Server, tmp_path: Path) -> None:
    done = ask(*(word.replace("{url}", server.url) for word in words), cwd=tmp_path)

    assert done.returncode == code
    assert says in done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


def test_the_request_for_curl_has_a_head_of_json_and_the_pixels_behind_it(tmp_path: Path) -> None:
    (block,) = [block for block in blocks(KIT / "triton" / "README.md") if block.startswith("printf")]
    (tmp_path / "one.rgb").write_bytes(coloured("red", 1).tobytes())

    script = block.partition("curl")[0].replace("S,S", "8,8")
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)

    head = (tmp_path / "head.json").read_bytes()
    (given,), (wanted,) = json.loads(head)["inputs"], json.loads(head)["outputs"]
    assert (given["name"], given["shape"], given["datatype"]) == ("images", [1, 8, 8, 3], "UINT8")
    assert given["parameters"]["binary_data_size"] == 8 * 8 * 3
    assert wanted["name"] == "logits"
    assert (tmp_path / "request.bin").read_bytes() == head + coloured("red", 1).tobytes()
