"""Drift is measured where it is, and what is gone, of another colour or of another shape at the end is not there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from pipeline.measures.long_takes import write_whole
from pipeline.tabletop.ceilings import in_other_colour, in_other_shape
from pipeline.tabletop.drift import (
    FIRST,
    OTHERS,
    RENDERS,
    WITH,
    WITHOUT,
    LongTakes,
    colour_curve,
    draw_takes,
    is_there,
    judge_takes,
    kept_takes,
    movement_curve,
    name_of,
    read_take,
    sharpness_curve,
    still_does,
)
from pipeline.tabletop.drift_figures import COLOUR, DOING, MOVEMENT, SHARPNESS, rows_of_takes, section_of_takes
from pipeline.tabletop.evaluate import Bench, run_takes
from pipeline.tabletop.probe import Judge, load_probe
from pipeline.tabletop.render import render, render_empty
from pipeline.tabletop.report import STILL_THERE, Row
from pipeline.tabletop.sampling import Case, Sampling, load_pipeline
from pipeline.tabletop.world import held_out

MODEL = Path(__file__).parents[2] / "assets" / "tabletop"


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_probe(MODEL)


def test_takes_are_of_held_out_scenes_in_which_nothing_leaves() -> None:
    cases = draw_takes(12)
    assert cases[:3] == draw_takes(3)
    assert all(held_out(case.program) and case.program.camera == "stands" for case in cases)
    assert {case.program.solids[0].motion for case in cases} == {"stays", "turns", "bounces"}
    for case in cases[:3]:
        ends = render(replace(case.program, frames=49))[[0, -1]].float()
        assert (ends[0] - ends[1]).abs().mean() < 30, "a render does not drift"


def test_curves_tell_colour_and_sharpness_by_the_second() -> None:
    torch.manual_seed(0)
    noise = torch.randint(80, 120, (1, 16, 16, 1)).expand(25, -1, -1, 3)
    brighter = noise + 10 * (torch.arange(25) // 8)[:, None, None, None]
    assert colour_curve(brighter.byte())[:2] == pytest.approx([0, 10], abs=1e-3)
    assert len(colour_curve(brighter.byte())) == 3, "what is left over belongs to the last second"
    assert sharpness_curve(brighter.byte()) == pytest.approx([1, 1, 1], abs=1e-3)
    flat = torch.cat([noise[:16].float(), (noise[16:].float() - 100) / 2 + 100])
    assert sharpness_curve(flat) == pytest.approx([1, 1, 0.25], abs=1e-3)


def test_only_the_named_solid_is_there(judge: Judge) -> None:
    passed = 0
    for case in draw_takes(3):
        program, still = case.program, torch.zeros(17, 1, 1, 1, dtype=torch.uint8)
        passed += is_there(judge, render(program), program)
        assert not is_there(judge, render_empty(replace(program, frames=1)) + still, program), "an empty scene"
        assert not is_there(judge, render(in_other_colour(program, 0)), program)
        assert not is_there(judge, render(in_other_shape(program, 0)), program)
    assert passed == 3


def test_movement_is_what_changes_and_none_where_a_take_has_come_to_stand(judge: Judge) -> None:
    steps = torch.arange(24).clamp(max=12)[:, None, None, None].expand(-1, 8, 8, 3)
    assert movement_curve((20 + 2 * steps).byte()) == pytest.approx([6, 3.6, 0]), "two a frame, three frames apart"
    turning = next(case.program for case in draw_takes(9) if case.program.solids[0].motion == "turns")
    clip = render(replace(turning, frames=33))
    assert still_does(judge, clip, turning)
    assert not still_does(judge, render_empty(replace(turning, frames=1)).expand(17, -1, -1, -1), turning)
    stopped = torch.cat([clip[:16], clip[16:17].expand(17, -1, -1, -1)])
    assert not still_does(judge, stopped, turning)
    resting = next(case.program for case in draw_takes(9) if case.program.solids[0].motion == "stays")
    assert still_does(judge, render(resting), resting)


def takes_on_disk(folder: Path) -> list[Case]:
    """Two takes of four seconds: the first fades without correction, the second loses its solid either way."""
    cases = draw_takes(2)
    for case in cases:
        clip = render(replace(case.program, frames=33))
        faded = (clip.float() * torch.linspace(1, 0.8, 33)[:, None, None, None]).byte()
        if case.number:
            clip = torch.cat([clip[:20], render_empty(replace(case.program, frames=1)).expand(13, -1, -1, -1)])
        for way, frames in ((WITH, clip), (WITHOUT, faded)):
            write_whole(iter([frames.numpy()]), folder / f"{name_of(case)}-{way}.mkv", 8)
    return cases


def test_the_report_tells_how_much_takes_drift(judge: Judge, tmp_path: Path) -> None:
    cases = takes_on_disk(tmp_path)
    assert torch.equal(read_take(tmp_path, cases[0], WITH), render(replace(cases[0].program, frames=33)))
    takes = LongTakes(2, 4.0)
    found = list(judge_takes(judge, cases, takes, tmp_path))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert list(judge_takes(judge, cases, takes, tmp_path)) == found
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept, "what was judged is kept"

    rows: dict[str, Row] = {row.name: row for row in rows_of_takes(found)}
    there = rows[STILL_THERE]
    assert (there.value, there.n, there.bar, there.reached) == (0.5, 2, 0.8, False)
    assert (there.controls[FIRST], there.controls[RENDERS], there.controls[OTHERS]) == (1, 1, 0)
    assert there.low < there.value < there.high
    colour = rows[COLOUR]
    assert colour.controls["without the correction"] > 10 > colour.value
    assert colour.controls["renders"] < 3
    assert not colour.higher_is_better
    sharpness = rows[SHARPNESS]
    assert sharpness.controls["without the correction"] > 0.2 > sharpness.controls["renders"]
    assert not sharpness.higher_is_better

    doing, movement = rows[DOING], rows[MOVEMENT]
    assert (doing.value, doing.n, doing.bar) == (0.5, 2, None), "the one that is gone no longer turns"
    assert (doing.controls[FIRST], doing.controls[RENDERS]) == (1, 1)
    assert movement.n == 1, "only the second one moves"
    assert movement.value < 0.1 < 0.8 < movement.controls["renders"] < 1.25
    assert movement.higher_is_better

    section = section_of_takes(found, takes, cases, tmp_path)
    lines = section.written(tmp_path)
    curves = json.loads(json.dumps(section.curves))["drift"]
    assert [len(curve) for curve in curves["colour"].values()] == [4, 4, 6]
    sizes = {}
    for name in ("drift", "long-takes"):
        assert any(f"]({name}.webp)" in line for line in lines)
        with Image.open(tmp_path / f"{name}.webp") as picture:
            sizes[name] = picture.size
    assert sizes["drift"] == (460, 3 * 300), "three charts, one below the other"
    assert sizes["long-takes"][0] > 600


def test_takes_that_are_made_one_way_alone_count_for_that_way(judge: Judge, tmp_path: Path) -> None:
    cases = takes_on_disk(tmp_path)
    both = list(judge_takes(judge, cases, LongTakes(2, 4.0), tmp_path))
    fewer = LongTakes(2, 4.0, compared=1)
    (tmp_path / f"{name_of(cases[1])}-{WITHOUT}.mkv").unlink()
    found = list(judge_takes(judge, cases, fewer, tmp_path))
    assert [WITHOUT in one.there for one in found] == [True, False]
    rows, all_rows = ({row.name: row for row in rows_of_takes(some)} for some in (found, both))
    for name, row in rows.items():
        assert row.n == (1 if name == MOVEMENT else 2)
        assert replace(row, controls={}) == replace(all_rows[name], controls={})
    for faded in rows_of_takes(both[:1]):
        assert rows[faded.name].controls["without the correction"] == faded.controls["without the correction"]
    assert "without the correction" not in rows[MOVEMENT].controls, "the one that should move was made one way"
    assert MOVEMENT not in {row.name for row in rows_of_takes(both[:1])}, "of what rests, nothing is told"
    resting = section_of_takes(both[:1], fewer, cases, tmp_path).curves["drift"]
    assert list(resting) == ["colour", "sharpness", "seconds"]  # type: ignore[call-overload]
    section = section_of_takes(found, fewer, cases, tmp_path)
    assert "the first 1 once more" in section.text
    assert [len(curve) for curve in section.curves["drift"]["colour"].values()] == [4, 4, 6]  # type: ignore[index]


def test_other_lengths_and_other_code_are_kept_apart(tmp_path: Path) -> None:
    brief, long = (kept_takes(tmp_path, LongTakes(2, seconds)) for seconds in (15.0, 60.0))
    assert brief != long
    assert (LongTakes(2).twice, LongTakes(20).twice) == (2, 8), "never more than there are"
    assert brief == kept_takes(tmp_path, LongTakes(9, 15.0)), "more takes go on where fewer ended"


@pytest.mark.slow
def test_the_app_makes_the_takes_that_are_judged(judge: Judge, tmp_path: Path) -> None:
    bench, takes = Bench(load_pipeline(MODEL), judge, Sampling(2, 4.0), tmp_path), LongTakes(2, 12.5, compared=1)
    rows, sections = run_takes(bench, MODEL, takes)
    folder = kept_takes(tmp_path, takes)
    made: list[Tensor] = [read_take(folder, draw_takes(1)[0], way) for way in (WITH, WITHOUT)]
    assert made[0].shape == made[1].shape == (101, 128, 128, 3)
    assert not torch.equal(made[0], made[1])
    assert [row.n for row in rows] == [2, 2, 1, 2, 2]
    assert len(list(folder.glob("*.mkv"))) == 3, "the second is made once"
    assert [section.title for section in sections] == ["Long takes"]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.mkv")}
    assert [row.value for row in run_takes(bench, MODEL, takes)[0]] == [row.value for row in rows]
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.mkv")} == before
    assert run_takes(bench, MODEL, LongTakes(0)) == ([], [])
