"""What the names of strengths mean, and that a calibration finds it."""

import json
from dataclasses import replace

import pytest

from pipeline.backends.local import LocalBackend
from pipeline.errors import CannotDo
from pipeline.measures.calibrate import level_for, measure
from pipeline.model_spec import ModelSpec
from pipeline.planning.strengths import CHANGES, TABLE, noise_level, read_table
from pipeline.settings import ROOT
from pipeline.store import Store


def test_names_are_noise_levels_that_rise(spec: ModelSpec) -> None:
    levels = [noise_level(name, spec) for name in CHANGES]
    assert 0 < levels[0] < levels[1] < levels[2] <= 1
    assert noise_level(0.37, spec) == 0.37
    assert json.loads((ROOT / "assets" / "strengths.json").read_text())[spec.name] == read_table()[spec.name]
    assert TABLE.is_relative_to(ROOT / "assets")


def test_a_name_that_nobody_measured_is_refused(spec: ModelSpec) -> None:
    with pytest.raises(CannotDo, match="Give a number"):
        noise_level("mild", replace(spec, name="another"))


def test_the_level_of_a_change_lies_between_the_measured_ones() -> None:
    curve = {0.2: 0.1, 0.6: 0.3, 0.9: 0.9}
    assert level_for(0.2, curve) == pytest.approx(0.4)
    assert level_for(0.6, curve) == pytest.approx(0.75)
    assert level_for(0.05, curve) == pytest.approx(0.1)
    assert level_for(5.0, curve) == 1.0


def test_more_noise_means_more_change(spec: ModelSpec, backend: LocalBackend, store: Store) -> None:
    small = replace(spec, shapes={**spec.shapes, "square": (64, 64)}, frames=9, steps=5)
    pair = ("a red ball on grass", "a blue cone on snow")
    curve = measure(small, backend, store, (pair,), (0.3, 0.9))
    assert 0 < curve[0.3] < curve[0.9]
