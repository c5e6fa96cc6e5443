from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.common.errors import RunError
from sskt_edge.sources.probe.probe import Probe, ProbeFacts, held_out_scores, probe_from_bytes
from sskt_edge.tasks.score import Score
from sskt_edge.tasks.task import Linear

SCORE = Score(metric="accuracy", images=50, value=0.88, interval=(0.76, 0.94))
FACTS = ProbeFacts(
    sources=("imagenet", "places"),
    score=SCORE,
    chance=0.2,
    loss=0.3,
    gain=1.0,
    gain_error=0.1,
    temperature=1.5,
    strength=3.0,
    views=200,
)
RANDOM = np.random.default_rng(0)
LAYERS = tuple(
    Linear(RANDOM.normal(size=(7, 2)).astype(np.float32), RANDOM.normal(size=2).astype(np.float32)) for _ in range(3)
)
PROBE = Probe((FACTS,), LAYERS, np.array([0, 1, 2, -1, 0]))


def test_it_is_read_as_it_was_written() -> None:
    read = probe_from_bytes(PROBE.as_bytes(), "probe.safetensors")
    assert read.facts == PROBE.facts and read.sources == ("imagenet", "places")
    assert (read.folds == PROBE.folds).all()
    for ours, theirs in zip(read.layers, LAYERS, strict=True):
        assert (ours.weights == theirs.weights).all() and (ours.bias == theirs.bias).all()


@pytest.mark.parametrize("place", [20, 300, -3])
def test_a_changed_file_is_refused(place: int) -> None:
    content = bytearray(PROBE.as_bytes())
    content[place] ^= 1
    with pytest.raises(RunError, match=r"The probe 'here' cannot be read: .*leave out --resume"):
        probe_from_bytes(bytes(content), "here")


def test_a_file_that_lost_its_hash_is_refused() -> None:
    content = PROBE.as_bytes().replace(b"self_sha256", b"else_sha256")
    with pytest.raises(RunError, match="has lost its own SHA-256"):
        probe_from_bytes(content, "here")


def test_the_mean_layer_gives_the_mean_of_the_logits() -> None:
    inputs = RANDOM.normal(size=(4, 7)).astype(np.float32)
    expected = np.mean([layer.logits(inputs) for layer in LAYERS], axis=0)
    np.testing.assert_allclose(PROBE.layer(-1).logits(inputs), expected, rtol=1e-5, atol=1e-6)


def test_its_score_is_told_in_words() -> None:
    assert str(FACTS) == (
        "accuracy 88.00% (95 % interval 76.0% to 94.0%) of 50 images, cross-validated; chance level 20.0%"
    )
    assert held_out_scores(PROBE) == {"imagenet + places": SCORE}
