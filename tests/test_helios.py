"""The whole road on tiny random weights of Helios' own classes: chunk by chunk the take of its authors' one call."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import HeliosDMDScheduler
from halves import assert_goes_on_exactly, decoded, denoised
from test_ltx import run as run_segment
from test_wan import Told, Written
from tiny_helios import place_helios
from tiny_wan import Heard
from with_words import with_words

from pipeline.backends.cutting import Reader
from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest, Cancelled, CannotDo, LoadError, NotDownloaded
from pipeline.events import Latents, Step, Watchable
from pipeline.families import helios
from pipeline.generate import Event, Finished, generate
from pipeline.library.runs import Run
from pipeline.memory import Machine
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.ui.rows import own_seconds, seconds_range
from pipeline.video import read_frames

if TYPE_CHECKING:
    from pipeline.families.family import Family

# The scheduler hands NumPy tensors of torch where it means numbers.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")

ROW = get_model("helios")
# The same row, with smaller pictures than it offers.
SMALL = replace(ROW, min_side=64)
# Every argument that the family gives the pipeline's call.
SHARED = {"width", "height", "num_frames", "pyramid_num_inference_steps_list", "guidance_scale", "generator"}
SHARED |= {"is_amplify_first_chunk", "max_sequence_length", "output_type", "return_dict", "callback_on_step_end"}
SHARED |= {"prompt_embeds"}
REMEMBERED = {"image_latents", "video_latents", "add_noise_to_image_latents", "add_noise_to_video_latents"}


def plan(frames: int = 33, size: tuple[int, int] = (128, 64), seed: int = 3) -> Plan:
    asked = {"prompt": "a red ball on snow", "model": "helios", "seed": seed, "frames": frames}
    return make_plan(parse_request(asked | {"width": size[0], "height": size[1]}), SMALL)


def usual(**asked: Any) -> Plan:
    return make_plan(parse_request({"prompt": "a red ball", "model": "helios", "seed": 3} | asked), ROW)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> LocalBackend:
    hub = tmp_path_factory.mktemp("hub")
    place_helios(ROW, hub)
    return LocalBackend(Settings(home=hub, hub=hub, device="cpu"))


@pytest.fixture(scope="module")
def family(backend: LocalBackend) -> "Family":
    return backend.warm("helios")


def theirs(family: "Family", made: Plan, **told: Any) -> Any:
    """Call the pipeline once for all chunks, as its documentation does; each draws its noise from a seed of its own."""
    generator, steps = torch.Generator().manual_seed(made.seed), iter(range(1, 1000))

    def reseed(_pipe: Any, _index: int, _timestep: Any, _tensors: Any) -> dict[str, Any]:
        # The first chunk takes twice the steps.
        done, left = divmod(next(steps) - 6, 6)
        if done and not left:
            generator.manual_seed(made.seed + done)
        return {}

    with with_words(family) as pipe:
        return pipe(
            prompt=made.prompt,
            width=made.width,
            height=made.height,
            num_frames=made.num_frames,
            pyramid_num_inference_steps_list=[2, 2, 2],
            guidance_scale=1.0,
            is_amplify_first_chunk=True,
            generator=generator,
            callback_on_step_end=reseed,
            **told,
        ).frames


def run_of(events: list[Event]) -> Run:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.run


def steps_in(events: list[Event]) -> list[int]:
    return [event.index for event in events if isinstance(event, Step)]


@pytest.mark.parametrize(("frames", "size"), [(33, (128, 64)), (66, (64, 128)), (99, (128, 64))])
def test_the_whole_road(backend: LocalBackend, store: Store, frames: int, size: tuple[int, int]) -> None:
    events = list(generate(plan(frames, size), backend, store))
    run, chunks = run_of(events), frames // 33
    assert run.state == "done"
    assert np.stack(list(read_frames(run.file))).shape == (frames, size[1], size[0], 3)
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.index, step.total) for step in steps] == [(n, 6 + 6 * chunks) for n in range(1, 7 + 6 * chunks)]
    assert {step.preview.shape for step in steps if step.preview is not None} == {(9, size[1] // 2, size[0] // 2, 3)}
    assert len([event for event in events if isinstance(event, Watchable)]) == (chunks if chunks > 1 else 0)
    assert "seam" in run.measures or chunks == 1, "where chunks meet the take goes on"


def test_a_take_equals_the_authors_one_call_bit_for_bit(backend: LocalBackend, family: "Family") -> None:
    # The fourth chunk no longer sees all of those before.
    long = plan(132)
    made = denoised(backend, long)
    assert (made.steps_done, made.steps) == (30, 30)
    assert np.array_equal(made.latents, theirs(family, long, output_type="latent").float().numpy())
    assert np.array_equal(made.latents[:, :, :18], denoised(backend, plan(66)).latents), "longer, and the same so far"
    assert not np.array_equal(made.latents[:, :, :9], denoised(backend, plan(seed=4)).latents)


def test_frames_equal_those_of_the_bare_call(backend: LocalBackend, family: "Family") -> None:
    ours, bare = decoded(denoised(backend, plan(66))), 255 * theirs(family, plan(66), output_type="np")[0]
    # The pipeline cuts them to a multiple of four and one.
    assert (len(ours), len(bare)) == (66, 65)
    assert np.abs(ours[:65] - bare).max() <= 0.51


def test_it_is_loaded_as_the_authors_load_it(family: "Family") -> None:
    pipe = family.pipe
    assert type(pipe).__name__ == ROW.pipeline
    assert pipe.config.is_distilled
    with with_words(family):
        assert (pipe.vae.dtype, pipe.transformer.dtype, pipe.text_encoder.dtype) == (
            torch.float32, torch.bfloat16, torch.bfloat16,
        )  # fmt: skip
    own, stated = pipe.scheduler.config, HeliosDMDScheduler().config
    assert isinstance(pipe.scheduler, HeliosDMDScheduler)
    assert own.gamma == pytest.approx(stated.gamma, abs=2e-6)
    assert {name: own[name] for name in stated if name[0] != "_" and name != "gamma"} == {
        name: value for name, value in stated.items() if name[0] != "_" and name != "gamma"
    }
    assert (pipe.vae_scale_factor_spatial, pipe.vae_scale_factor_temporal) == (ROW.side_stride, ROW.frame_grid)


def told_to(family: "Family", made: Plan, before: list[Latents]) -> dict[str, Any]:
    """Return what the pipeline is called with for the last segment of a plan."""
    written = helios.HeliosFamily(family.spec, Written(family.pipe), family.codec, family.preview, family.words)
    alone = made.alone(len(made.segments) - 1)
    read = Reader(alone, lambda: family.codec)
    read.made = before
    with pytest.raises(Told) as called:
        written.run_segment(alone, alone.segments[0], {"prompt_embeds": None}, read, lambda *_: None, lambda: False)
    told: dict[str, Any] = called.value.args[0]
    return told


def test_the_calls_are_the_authors_own(family: "Family") -> None:
    asked: dict[str, Any] = {"width": 640, "height": 384, "num_frames": 33, "output_type": "latent"}
    asked |= {"pyramid_num_inference_steps_list": [2, 2, 2], "guidance_scale": 1.0, "max_sequence_length": 512}
    first = told_to(family, usual(frames=33), [])
    assert {name: first.get(name) for name in asked} == asked
    assert (set(first), first["is_amplify_first_chunk"]) == (SHARED, True), "nothing beside"
    before = [np.full((1, 16, 9, 2, 2), float(number), np.float32) for number in range(4)]
    later = told_to(family, usual(frames=165), before)
    assert {name: later.get(name) for name in asked} == asked
    assert (set(later), later["is_amplify_first_chunk"]) == (SHARED | REMEMBERED, False)
    assert later["image_latents"].shape == (1, 16, 1, 2, 2)
    assert later["image_latents"].unique().tolist() == [0.0], "the first frame of all"
    assert later["video_latents"][0, 0, :, 0, 0].tolist() == [1.0] * 9 + [2.0] * 9 + [3.0] * 9
    assert not later["add_noise_to_image_latents"]
    assert not later["add_noise_to_video_latents"]


def test_a_stop_keeps_what_the_model_foresaw(family: "Family") -> None:
    made = plan()
    with Heard(family) as heard:
        sample, told = run_segment(family, made, stop_after=1)
    assert sample.steps_done == len(told) == len(heard.calls) == 1
    assert (sample.steps, sample.latents.shape) == (12, (1, 16, 9, 8, 16))
    # The first stage is a quarter of the size; at its start the latents are noise alone: x − σ·v, with σ = .999.
    start, velocity = (each.float() for each in (heard.calls[0]["hidden_states"], heard.answers[0]))
    assert start.shape == (1, 16, 9, 2, 4)
    foreseen = (start - 0.999 * velocity).repeat_interleave(4, 3).repeat_interleave(4, 4)
    assert np.abs(sample.latents - foreseen.numpy()).max() < 0.05, "but for the rounding of bfloat16"
    whole, told = run_segment(family, made)
    assert (whole.steps_done, len(told)) == (12, 12), "the next run is not stopped"
    last = family.preview(torch.from_numpy(whole.latents))
    assert np.abs(told[-1][2].astype(int) - last).max() <= 1, "the last estimate is the result"
    with pytest.raises(Cancelled, match="nothing to keep"):
        run_segment(family, made, stop_after=0)


def test_one_chunk_goes_on_from_any_step(backend: LocalBackend, tmp_path: Path) -> None:
    # In the first stage, at its end, and in both others.
    assert_goes_on_exactly(backend, plan(), (2, 4, 6, 11), tmp_path)


def test_a_stop_keeps_whole_chunks_and_the_take_goes_on_after_them(backend: LocalBackend, store: Store) -> None:
    long, events = plan(99), list[Event]()
    for event in generate(long, backend, store, lambda: steps_in(events)[-1:] == [15]):
        events.append(event)
    run = run_of(events)
    assert run.state == "stopped"
    assert len(list(read_frames(run.file))) == 33
    assert "the first part was done, of 3, and kept" in run.notes[-1]
    events = list(generate(long, backend, store))
    assert run_of(events).state == "done"
    assert steps_in(events) == list(range(13, 25))
    uncut = list(generate(long, backend, store))
    assert steps_in(uncut) == list(range(1, 25)), "what was kept is gone once the take is whole"
    resumed, made = (np.stack(list(read_frames(run_of(each).file))) for each in (events, uncut))
    assert np.array_equal(resumed, made)


@pytest.mark.parametrize(
    ("asked", "frames", "note"),
    [
        ({}, 132, None),
        ({"frames": 33}, 33, None),
        ({"seconds": 5.5}, 132, None),
        ({"frames": 1}, 33, "1 frames became 33 frames (1.4 s): Helios 14B makes 33, 66, 99, … frames."),
        ({"frames": 50}, 66, "50 frames became 66 frames"),
        ({"seconds": 60.5}, 1452, None),
        ({"frames": 1452}, 1452, None),
        ({"seconds": 60.0}, 1452, "60 s became 1452 frames (60.5 s)"),
    ],
)
def test_a_length_is_whole_chunks(asked: dict[str, Any], frames: int, note: str | None) -> None:
    made = usual(**asked)
    assert made.num_frames == frames == 33 * len(made.segments)
    assert {segment.frames for segment in made.segments} == {33}
    assert [segment.remembers for segment in made.segments] == [False] + [True] * (frames // 33 - 1)
    assert made.joins == tuple(range(33, frames, 33))
    rounded = [each for each in made.notes if "became" in each]
    assert len(rounded) == (1 if note else 0)
    assert (note or "") in "".join(rounded)


def test_a_minute_costs_time_and_no_memory() -> None:
    one, two, minute = (usual(frames=frames) for frames in (33, 66, 1452))
    # 9 latent frames of 24×40 tokens; 2 of those before, 2 in patches of twice the size, and 16 in four times that.
    assert one.estimate.tokens == minute.estimate.tokens == 9 * 960 + 2 * 960 + 240 + 4 * 60
    assert one.estimate.memory_mb == minute.estimate.memory_mb
    chunk = two.estimate.denoise - one.estimate.denoise
    assert one.estimate.denoise == pytest.approx(2 * chunk, rel=0.02), "the first one takes twice the steps"
    assert minute.estimate.denoise == pytest.approx(45 * chunk, rel=0.02)
    assert "1452 frames, 60.5 s, 640×384" in minute.contract()


def test_what_it_cannot_do_is_refused_with_the_reason(tmp_path: Path) -> None:
    for task, given in (("animate", {"image": "a.png"}), ("loop", {}), ("restyle", {"video": "a.mp4"})):
        with pytest.raises(CannotDo, match="Helios 14B cannot do"):
            usual(task=task, **given)
    for asked in ({"seconds": 61.0}, {"steps": 7}, {"guidance_scale": 5.0}, {"width": 1024, "height": 576}):
        with pytest.raises(BadRequest, match="choose from"):
            usual(**asked)
    with pytest.raises(NotDownloaded, match="Helios 14B is not on this machine"):
        helios.load(ROW, Settings(hub=tmp_path, device="cpu"))
    weights = next(place_helios(ROW, tmp_path).glob("transformer/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(LoadError, match=r"Helios 14B could not be loaded .*Fetch its files anew\."):
        helios.load(ROW, Settings(hub=tmp_path, device="cpu"))


def test_it_fits_cards_of_many_sizes() -> None:
    asked = parse_request({"prompt": "a red ball", "model": "helios", "frames": 33})
    placed = [make_plan(asked, ROW, machine=Machine(mb, 64_000, (9, 0))).estimate for mb in (80_000, 40_000, 24_000)]
    assert [(each.policy, each.beside) for each in placed] == [("whole", True), ("whole", False), ("fp8", False)]


def test_the_page_offers_whole_chunks() -> None:
    least, most, step = seconds_range(ROW, "text")
    assert (least, most, step) == (1.375, 60.5, 1.375)
    assert own_seconds(ROW, "text") == 5.5
    for seconds in (least, 5.5, most):
        assert not [note for note in usual(seconds=seconds).notes if "became" in note]
