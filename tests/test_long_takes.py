"""Long takes as the evaluation has them: made as the app makes them, with and without what holds back drift."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from halves import decoded, denoised, forwards
from PIL import Image

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.events import Pixels
from pipeline.measures.contact_sheet import GAP, LABEL, contact_sheet, frames_at
from pipeline.measures.long_takes import WITH, WITHOUT, Studio, settings_for, uncorrected
from pipeline.model_spec import Chunks, ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.video import read_frames, write_clip

ASKED = {"prompt": "a red ball bounces on snow", "width": 64, "height": 64, "frames": 33, "steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def short(spec: ModelSpec) -> ModelSpec:
    """The same model, of which such a take has three parts."""
    return replace(spec, max_frames=17, chunks=Chunks(17, 9))


@pytest.fixture(scope="module")
def plan(short: ModelSpec) -> Plan:
    return make_plan(parse_request(ASKED), short)


@pytest.fixture(scope="module")
def studio(short: ModelSpec, backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    studio = Studio(backend, short, tmp_path_factory.mktemp("takes"))
    for way in (WITH, WITHOUT):
        studio.make("one", ASKED, way)
    return studio


def shown(studio: Studio, way: str) -> Pixels:
    return np.stack(list(read_frames(studio.file("one", way))))


def test_a_take_is_the_app_s_own_and_the_other_one_differs_in_how_details_are_guided(
    studio: Studio, plan: Plan, backend: LocalBackend
) -> None:
    made, other = shown(studio, WITH), shown(studio, WITHOUT)
    assert np.array_equal(made, decoded(denoised(backend, plan))), "bit for bit, no file's compression between"
    assert not np.array_equal(made, other)
    assert {segment.late_guidance for segment in uncorrected(plan).segments} == {1.0}
    assert len(made) == len(other) == 33


def test_a_part_goes_on_from_the_latents_of_the_one_before_which_are_not_encoded_anew(
    plan: Plan, backend: LocalBackend
) -> None:
    latents = denoised(backend, plan).latents
    first, second, third = (latents[:, :, start : start + 5] for start in (0, 5, 10))
    for before, after in ((first, second), (second, third)):
        assert np.allclose(after[:, :, 1:3], before[:, :, 3:], atol=1e-4), "nine frames, three latents"
        assert not np.allclose(after[:, :, :1], before[:, :, 2:3], atol=0.1), "of one frame, not of four"


def test_both_are_made_once_and_stay(studio: Studio, plan: Plan, backend: LocalBackend) -> None:
    assert np.array_equal(shown(studio, WITHOUT), decoded(denoised(backend, uncorrected(plan))))
    again = Studio(backend, studio.spec, studio.kept / "again")
    again.kept.mkdir()
    with forwards(backend, plan.model) as calls:
        again.make("one", ASKED)
        assert len(calls) == 3 * 2, "two steps of three parts"
        for way in (WITH, WITHOUT, WITHOUT):
            again.make("one", ASKED, way)
        assert len(calls) == 12, "what is there stays"
    assert sorted(path.name for path in again.kept.iterdir()) == ["one-with.mkv", "one-without.mkv"]


def test_what_is_made_in_one_go_does_not_drift_and_is_refused(studio: Studio) -> None:
    with pytest.raises(BadRequest, match="more than one part"):
        studio.make("brief", ASKED | {"frames": 17})


def test_takes_are_made_with_the_weights_that_are_judged(tmp_path: Path) -> None:
    model, note = tmp_path / "other", tmp_path / "note"
    model.mkdir()
    note.mkdir()
    assert (settings_for(model, note).assets / get_model("tabletop").repo).resolve() == model.resolve()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five seconds and a frame at 8 a second, each second of a grey of its own."""

    def frames() -> Iterator[Pixels]:
        for number in range(41):
            yield np.full((1, 48, 96, 3), 20 + 40 * (number // 8), np.uint8)

    write_clip(frames(), path := tmp_path / "clip.mp4", 8, {})
    return path


def test_a_contact_sheet_shows_a_frame_of_every_two_seconds(clip: Path) -> None:
    seen = list(frames_at(clip, 2.0))
    assert [seconds for seconds, _ in seen] == [0, 2, 4]
    assert [float(frame.mean()) for _, frame in seen] == pytest.approx([20, 100, 180], abs=3)
    assert [seconds for seconds, _ in frames_at(clip, 1.5)] == [0, 1.5, 3, 4.5]
    sheet = np.asarray(contact_sheet(clip, 2.0, across=2))
    cell = 48 + LABEL + GAP
    assert sheet.shape == (2 * cell - GAP, 2 * (96 + GAP) - GAP, 3)
    assert abs(int(sheet[cell + LABEL + 24, 48, 0]) - 180) <= 3


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    (path := tmp_path / "words.mp4").write_text("no clip")
    with pytest.raises(BadRequest, match=r"words\.mp4 cannot be read"):
        list(frames_at(path, 2.0))
    Image.new("RGB", (8, 8)).save(path := tmp_path / "one.png")
    assert len(list(frames_at(path, 2.0))) == 1
