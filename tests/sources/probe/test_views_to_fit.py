"""The views that a probe is fitted on."""

from __future__ import annotations

import numpy as np

from sskt_edge.sources.probe.views_to_fit import views_to_fit


def test_of_many_images_those_of_rare_classes_are_never_left_out() -> None:
    """Evenly spaced rows alone leave out a class of three images among 40,000, and its images are taught a 0."""
    strata = np.zeros(40_000, dtype=np.intp)
    strata[[13, 20_001, 39_990]] = 1
    strata[5_000:5_400] = 2
    found = views_to_fit(np.arange(40_000), strata, most=1_000)
    assert np.bincount(strata[found]).tolist()[1] == 3
    assert np.bincount(strata[found])[2] >= 10
    assert len(found) <= 1_000 + 10 + 10 + 3 and (np.diff(found) > 0).all()


def test_a_class_keeps_about_its_share() -> None:
    strata = np.arange(30_000) % 3
    counts = np.bincount(strata[views_to_fit(np.arange(30_000), strata, most=3_000)])
    assert (np.abs(counts / counts.sum() - 1 / 3) < 0.02).all()


def test_of_few_images_all_have_the_same_number_of_views() -> None:
    rows = np.tile(np.arange(10), 16)
    found = views_to_fit(rows, np.zeros(10, dtype=np.intp), most=45)
    assert np.bincount(rows[found]).tolist() == [4] * 10
