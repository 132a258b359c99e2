"""What the judge of the whole world reads, and that its labels can be read at all."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from toy_clips import three_clips

from pipeline.tabletop.data import load_chunk
from pipeline.tabletop.labels import ATTRIBUTES, OF_WORLD, UNSEEN, WHOLE_ATTRIBUTES, labels, truth
from pipeline.tabletop.latents import mirror
from pipeline.tabletop.network import CHANNELS
from pipeline.tabletop.probe import (
    Examples,
    Probe,
    judged_examples,
    load_autoencoder,
    probe_loss,
    readable,
    train_probe,
    world_of,
)
from pipeline.tabletop.scenes import KINDS, draw_kind, draw_scene
from pipeline.tabletop.world import CAMERAS, MOTIONS, draw_judged

MODEL = Path(__file__).parents[2] / "assets" / "tabletop"


@pytest.mark.parametrize("kind", KINDS)
def test_every_scene_has_a_value_for_every_attribute(kind: str) -> None:
    for seed in range(30):
        program = draw_kind(Random(seed), kind)
        told = truth(program, "whole")
        assert list(told) == list(WHOLE_ATTRIBUTES)
        assert all(told[name] in values for name, values in WHOLE_ATTRIBUTES.items())
        assert (told["second colour"] == "none") == (len(program.solids) == 1)
        assert (told["wall"] != "none") == (program.wall is not None)


def test_two_that_rest_are_told_from_left_to_right_also_in_a_mirror() -> None:
    found = 0
    for seed in range(200):
        program = draw_kind(Random(seed), "orbits")
        if len(program.solids) == 2 and program.solids[0].motion == "stays":
            found += 1
            swapped = replace(program, solids=program.solids[::-1])
            assert truth(program, "whole") == truth(swapped, "whole")
            assert truth(program, "whole")["colour"] == truth(mirror(program), "whole")["second colour"]
    assert found > 20


def test_a_mirror_turns_directions_round() -> None:
    for kind in ("behind", "orbits"):
        program = draw_kind(Random(2), kind)
        name = "motion" if program.story else "direction"
        assert {truth(one, "whole")[name] for one in (program, mirror(program))} == {"left", "right"}


def test_a_recoloured_clip_has_no_colours_to_read() -> None:
    marks = labels([draw_scene(Random(seed)) for seed in range(20)], true_colours=False, world="whole")
    unseen = {name for index, name in enumerate(WHOLE_ATTRIBUTES) if (marks[:, index] == UNSEEN).all()}
    assert unseen == {"colour", "floor", "sky", "second colour", "wall", "weather"}


def test_the_plain_probe_reads_scenes_of_one_solid_and_the_whole_one_all() -> None:
    programs = tuple(draw_scene(Random(seed)) for seed in range(40))
    assert len(readable(programs, "plain")) < len(readable(programs, "whole")) == 40
    assert world_of(Probe(width=8, depth=1).state_dict()) == "plain"
    assert world_of(Probe(width=8, depth=1, world="whole").state_dict()) == "whole"
    assert OF_WORLD["plain"] == ATTRIBUTES


def test_the_judge_sees_cameras_that_move_as_often_as_ones_that_stand() -> None:
    programs = [draw_judged(Random(seed), (128, 128), 17) for seed in range(400)]
    shares = {camera: sum(program.camera == camera for program in programs) / 400 for camera in CAMERAS}
    assert 0.42 < shares.pop("stands") < 0.58
    assert all(0.11 < share < 0.23 for share in shares.values())
    assert {program.solids[0].motion for program in programs} == set(MOTIONS)
    assert all(len(program.solids) == 1 for program in programs)


def test_the_judges_own_clips_are_read_as_they_are_and_mirrored(tmp_path: Path) -> None:
    work = three_clips(tmp_path)
    vae = load_autoencoder(MODEL)
    for decoded in (False, True):
        plain, mirrored = judged_examples(work / "chunks" / "chunk-00000.pt", vae, decoded, "whole")
        programs = load_chunk(work / "chunks" / "chunk-00000.pt").programs
        assert torch.equal(plain.labels, labels(list(programs), world="whole"))
        assert torch.equal(mirrored.labels, labels([mirror(program) for program in programs], world="whole"))
        assert mirrored.latents.shape == plain.latents.shape
        assert not torch.equal(mirrored.latents, plain.latents)


def test_a_probe_of_the_whole_world_learns_what_latents_show() -> None:
    programs = [draw_scene(Random(seed)) for seed in range(64)]
    marks = labels(programs, world="whole")
    latents = torch.randn(64, CHANNELS, 2, 2, 2) * 0.1
    # Each attribute's value is written into a channel of its own.
    for index in range(marks.shape[1]):
        latents[:, index] += marks[:, index].float()[:, None, None, None]
    examples = Examples(latents, marks)
    torch.manual_seed(0)
    untrained = Probe(world="whole").eval()
    probe = train_probe([examples], steps=25, batch=32, world="whole")
    with torch.no_grad():
        assert probe_loss(probe, examples) < 0.7 * probe_loss(untrained, examples)
