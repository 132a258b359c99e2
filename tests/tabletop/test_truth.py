"""What is told from a program alone is what its pixels show."""

from dataclasses import replace
from random import Random

import pytest
import torch

from pipeline.tabletop import truth
from pipeline.tabletop.render import FLOOR_ID, render, render_empty, render_ids
from pipeline.tabletop.scenes import KINDS, draw_kind
from pipeline.tabletop.solids import LOWEST, half_width
from pipeline.tabletop.stories import touching_distance
from pipeline.tabletop.world import SHAPES, Program, Solid

SIDE = 64


def programs_of(kind: str, count: int = 3) -> list[Program]:
    return [draw_kind(Random(f"truth {kind} {seed}"), kind, (SIDE, SIDE), 17) for seed in range(count)]


def resting(floor: str, sun: float, shape: str = "ball") -> Program:
    solid = Solid(shape, "red", shiny=False, motion="stays", x=0.3, z=0.0, size=0.8, speed=1.0, phase=0.0)
    return Program((solid,), floor, "sunset", "stands", 0.3, sun, SIDE, SIDE, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_middle_of_an_outline_is_where_its_pixels_are(kind: str) -> None:
    off = []
    for program in programs_of(kind):
        ids, middles, share = render_ids(program), truth.middles(program), truth.visible_share(program)
        for index, frame in (share > 0.98).nonzero().tolist():
            pixels = (ids[frame] == index).nonzero().float().mean(0).flip(0)
            off.append(float((pixels - middles[index, frame]).norm()))
    assert len(off) > 5
    assert max(off) < 2.5
    assert sum(off) / len(off) < 1.0


@pytest.mark.parametrize("kind", ["behind", "passes", "follows"])
def test_the_visible_share_is_none_where_no_pixel_is_and_all_where_nothing_is_before_it(kind: str) -> None:
    hidden = 1 if kind == "passes" else 0
    for program in programs_of(kind):
        share, pixels = truth.visible_share(program)[hidden], (render_ids(program) == hidden).flatten(1).sum(1)
        assert torch.equal(share == 0, pixels == 0)
        assert share[0] > 0.98
        assert share.min() < 0.7
        assert truth.hidden(program, hidden).sum() >= (pixels == 0).sum()


def test_outlines_meet_in_the_frame_of_contact() -> None:
    for program in programs_of("pushes", 6):
        frame = truth.contact_frame(program)
        assert frame is not None
        ids = render_ids(program)
        gaps = []
        for one in ids:
            first, second = ((one == index).any(0).nonzero() for index in (0, 1))
            gaps.append(int(max(second[0] - first[-1], first[0] - second[-1])) - 1)
        nearest = min(gaps)
        assert nearest <= 1
        assert gaps[int(frame)] - nearest <= 2
        assert gaps[0] > nearest + 2
        moved = next(i for i, one in enumerate(ids) if not torch.equal(one == 1, ids[0] == 1))
        assert frame < moved < frame + 2.5


@pytest.mark.parametrize("first", SHAPES)
@pytest.mark.parametrize("second", SHAPES)
def test_touching_solids_touch_and_do_not_overlap(first: str, second: str) -> None:
    pair = [
        replace(resting("snow", 0.8, shape).solids[0], x=0.0, size=size)
        for shape, size in ((first, 0.7), (second, 0.5))
    ]
    apart = touching_distance(*pair)
    height = torch.linspace(0.01, 2.0, 400)
    reach = [half_width(solid.shape, height / solid.size) * solid.size for solid in pair]
    overlap = (reach[0] + reach[1] - apart).max()
    assert -0.02 < float(overlap) < 1e-3


@pytest.mark.parametrize("sun", [-0.9, 0.9])
@pytest.mark.parametrize("floor", ["snow", "sand", "grass"])
def test_the_shadow_lies_where_it_is_said_to(floor: str, sun: float) -> None:
    program = resting(floor, sun)
    darker = render_empty(program)[0].float().mean(-1) - render(program)[0].float().mean(-1)
    on_the_floor = render_ids(program)[0] == FLOOR_ID
    shadow = ((darker > 20) & on_the_floor).nonzero().float().mean(0).flip(0)
    base = truth.base_points(program)[0, 0]
    assert torch.sign(shadow[0] - base[0]) == truth.shadow_side(program)[0, 0] == -torch.sign(torch.tensor(sun))
    said = truth.shadow_points(program)[0, 0] - base
    seen = shadow - base
    assert torch.nn.functional.cosine_similarity(said, seen, dim=0) > 0.95


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mirror_image_is_where_it_is_said_to_be(shape: str) -> None:
    program = resting("water", 0.9, shape)
    clip, empty = render(program)[0].float(), render_empty(program)[0].float()
    redder = (clip[..., 0] - clip[..., 2]) - (empty[..., 0] - empty[..., 2]) > 18
    image = (redder & (render_ids(program)[0] == FLOOR_ID)).nonzero().float().mean(0).flip(0)
    said = truth.mirror_points(program)[0, 0]
    assert abs(float(image[0] - said[0])) < 3
    assert abs(float(image[1] - said[1])) < 4
    assert said[1] > truth.middles(program)[0, 0, 1]


def test_a_foot_is_the_last_row_of_what_rests() -> None:
    for shape in SHAPES:
        program = resting("snow", 0.9, shape)
        last = int((render_ids(program)[0] == 0).any(1).nonzero()[-1])
        assert abs(float(truth.foot_rows(program)[0, 0]) - last) < 1.6


def test_heights_follow_gravity() -> None:
    bouncing = resting("snow", 0.9)
    solid = replace(bouncing.solids[0], motion="bounces", phase=0.0)
    heights = truth.heights(replace(bouncing, solids=(solid,), frames=33))[0]
    assert float(heights.max()) == pytest.approx(1.15, abs=0.03)
    fall = torch.diff(torch.diff(heights))[1:4]
    assert torch.allclose(fall, torch.tensor(-5.0 / 64), atol=1e-3)
    assert truth.bounce_period(solid) == pytest.approx(1.356, abs=0.01)
    centre = truth.centres(replace(bouncing, solids=(solid,), frames=33))[0, :, 1]
    assert torch.allclose(centre - heights, torch.tensor(-LOWEST["ball"] * 0.8), atol=1e-5)
