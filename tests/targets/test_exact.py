"""Settings of the process are put back."""

from __future__ import annotations

import torch

from sskt_edge.targets.exact import exact


def test_exact_puts_the_settings_of_the_process_back() -> None:
    def settings() -> tuple[bool, ...]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32,
        )

    before = settings()
    with exact():
        assert settings() == (True, True, False, False)
    assert settings() == before
