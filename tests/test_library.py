import gc
import json
import logging
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from seeded import SMALL, keep_run, many_folders, plan_of

from pipeline.errors import NotFound
from pipeline.library.bundle import bundle
from pipeline.library.index import INDEX, Only, Sort
from pipeline.library.lineage import branches
from pipeline.library.marks import Marks
from pipeline.library.runs import Run
from pipeline.models import EMBEDDED
from pipeline.plan import make_plan
from pipeline.request import parse_request
from pipeline.store import Store
from pipeline.ui.clips import clip_of
from pipeline.video import read_frames, write_still
from pipeline.visitors import EVERYTHING, Parent, Viewer

ANNA, BERT, AT_HOME = Viewer("a" * 32), Viewer("b" * 32), Viewer("c" * 32, at_home=True)
LISTING_S = 0.2


def words(
    store: Store, viewer: Viewer = EVERYTHING, search: str = "", sort: Sort = "newest", only: Only = "mine"
) -> list[str]:
    return [run.plan.prompt for run in store.find(viewer, search, sort, only).runs]


def test_ten_thousand_runs_are_listed_at_once(tmp_path: Path) -> None:
    many_folders(tmp_path, 10_000, ANNA.owner)
    store = Store(tmp_path)
    started = time.monotonic()
    assert store.find(EVERYTHING, limit=1).total == 10_000
    print(f"first index of 10,000 runs: {time.monotonic() - started:.1f} s")
    again = Store(tmp_path)
    started = time.monotonic()
    assert again.find(EVERYTHING, limit=1).total == 10_000
    assert time.monotonic() - started < 5, "the index is there"
    asked: tuple[tuple[Any, int], ...] = (
        ({}, 5_000),
        ({"sort": "name"}, 5_000),
        ({"sort": "longest", "only": "all"}, 5_000),
        ({"search": "green 77"}, 60),
        ({"offset": 4_900}, 5_000),
    )
    for options, total in asked:
        started = time.monotonic()
        found = again.find(ANNA, limit=48, **options)
        assert time.monotonic() - started < LISTING_S, options
        assert (len(found.runs), found.total) == (48, total)
    started = time.monotonic()
    assert len(again.newest(EMBEDDED.name, "", 5)) == 5
    assert again.run_of(f"run:{77:020x}") == again.get(f"{77:020x}")
    assert time.monotonic() - started < LISTING_S


def test_runs_are_searched_sorted_and_chosen(store: Store) -> None:
    keep_run(store, plan_of("Zebra", seed=11), ANNA.owner)
    keep_run(store, plan_of("apple", seed=22, frames=17), ANNA.owner)
    run = keep_run(store, plan_of("Mango", seed=33, frames=1), ANNA.owner)
    store.mark(run.id, ANNA, starred=True)
    assert words(store) == ["Mango", "apple", "Zebra"]
    assert words(store, sort="oldest") == ["Zebra", "apple", "Mango"]
    assert words(store, sort="name") == ["apple", "Mango", "Zebra"]
    assert words(store, sort="longest") == ["apple", "Zebra", "Mango"]
    assert words(store, search="zEB") == ["Zebra"]
    assert words(store, search="22 tabletop text") == ["apple"]
    assert words(store, search="33 apple") == []
    assert words(store, search="100%_") == []
    assert words(store, only="starred") == ["Mango"]
    listing = store.find(ANNA, limit=1, offset=1)
    assert (listing.total, [run.plan.prompt for run in listing.runs]) == (3, ["apple"])


def test_what_belongs_to_others_is_not_there_unless_it_is_published(store: Store) -> None:
    hers, his = keep_run(store, plan_of("hers"), ANNA.owner), keep_run(store, plan_of("his"), BERT.owner)
    machines = keep_run(store, plan_of("machine's"))
    assert words(store, ANNA) == words(store, ANNA, only="all") == ["hers"]
    assert words(store, AT_HOME) == ["machine's"]
    assert words(store, Viewer("")) == []
    for run in (hers, machines):
        with pytest.raises(NotFound):
            store.seen(run.id, BERT)
    for forbidden in (
        lambda: store.mark(hers.id, BERT, published=True),
        lambda: store.delete([his.id, hers.id], BERT),
        lambda: store.run_of(f"run:{hers.id}", BERT),
        lambda: store.keep_source(f"run:{hers.id}", BERT),
    ):
        with pytest.raises(NotFound):
            forbidden()
    assert store.seen(his.id, BERT) == his, "nothing was deleted"
    assert store.mark(hers.id, ANNA, published=True) == Marks(published=True)
    assert store.seen(hers.id, BERT) == hers
    assert words(store, BERT, only="all") == ["his", "hers"]
    assert words(store, BERT, only="published") == words(store, Viewer(""), only="published") == ["hers"]
    assert words(store, BERT) == ["his"]
    with pytest.raises(NotFound):
        store.owned(hers.id, BERT)
    store.mark(hers.id, ANNA, published=False)
    assert words(store, BERT, only="all") == ["his"]
    with pytest.raises(NotFound):
        store.seen(hers.id, BERT)


def test_what_others_publish_is_used_from_its_file_never_from_its_latents(store: Store, tmp_path: Path) -> None:
    hers = keep_run(store, plan_of(), ANNA.owner)
    downloaded = Path(shutil.copy(hers.file, tmp_path / "hers.mp4"))
    assert store.find_source(str(downloaded), BERT) == str(downloaded), "a file like any other"
    assert store.run_of(str(downloaded), BERT) is None
    store.mark(hers.id, ANNA, published=True)
    assert store.run_of(str(downloaded), BERT) == hers
    for source in (f"run:{hers.id}", str(downloaded)):
        assert store.find_source(source, BERT) == str(hers.file)
        assert store.find_source(source, ANNA).endswith(".safetensors")
        kept = Path(store.keep_source(source, BERT))
        assert [path.suffix for path in kept.parent.iterdir()] == [".mp4"]
    assert store.last_frame(hers, BERT) == hers.file
    assert store.last_frame(hers, ANNA).suffix == ".png"


def test_what_a_published_run_was_made_from_is_not_published(store: Store, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "me.png")
    kept = store.keep_source(str(tmp_path / "me.png"))
    plan = make_plan(parse_request(SMALL | {"task": "animate", "prompt": "a ball", "image": kept}), EMBEDDED)
    run = keep_run(store, plan, ANNA.owner)
    store.mark(run.id, ANNA, published=True)
    assert clip_of(run, store, ANNA).plan.files == (kept,)
    theirs = clip_of(run, store, BERT)
    assert (theirs.plan.files, theirs.mine, "key=" in theirs.url) == (("me.png",), False, False)
    assert str(store.home) not in repr(theirs)


def test_the_runs_that_a_published_one_was_made_from_are_told_as_far_as_they_are_seen(store: Store) -> None:
    private, public = (keep_run(store, plan_of(), ANNA.owner) for _ in range(2))
    kin = tuple(Parent(run.id, "restyled from") for run in (private, public))
    run = keep_run(store, plan_of(), ANNA.owner, kin)
    for each in (public, run):
        store.mark(each.id, ANNA, published=True)
    assert store.seen(run.id, ANNA).parents == kin
    assert store.seen(run.id, BERT).parents == kin[1:]
    store.delete([public.id], ANNA)
    assert store.seen(run.id, BERT).parents == ()


def test_own_runs_are_known_before_the_same_ones_of_others(store: Store, tmp_path: Path) -> None:
    his, hers = keep_run(store, plan_of(), BERT.owner), keep_run(store, plan_of(), ANNA.owner)
    assert hers.sha256 == his.sha256
    store.mark(hers.id, ANNA, published=True)
    copy = shutil.copy(his.file, tmp_path / "copy.mp4")
    assert store.run_of(str(copy), BERT) == his


def test_marks_stay_with_the_folder(store: Store, tmp_path: Path) -> None:
    run = keep_run(store, plan_of(), ANNA.owner)
    store.mark(run.id, ANNA, starred=True)
    store.mark(run.id, ANNA, published=True)
    shutil.copytree(store.home, elsewhere := tmp_path / "elsewhere", ignore=shutil.ignore_patterns(f"{INDEX}*"))
    again = Store(elsewhere)
    assert again.find(ANNA).marks[run.id] == again.marks(run.id) == Marks(starred=True, published=True)
    (elsewhere / run.id / "marks.json").write_text("{")
    assert Store(elsewhere).marks(run.id) == Marks(), "what cannot be read is private"
    assert Store(elsewhere).find(BERT, only="published").runs == ()


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be taken for one" * 40, None])
def test_an_index_that_is_damaged_or_old_is_made_anew(store: Store, damage: bytes | None) -> None:
    run = keep_run(store, plan_of(), ANNA.owner)
    # Not within the assertion, which would keep it open.
    total = Store(store.home).find(ANNA).total
    gc.collect()
    assert total == 1
    for left in store.home.glob(f"{INDEX}*"):
        left.unlink() if damage is None or left.name != INDEX else left.write_bytes(damage)
    assert Store(store.home).find(ANNA).runs == (run,)


def test_folders_that_come_and_go_are_noticed(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    first = keep_run(store, plan_of("first"))
    assert words(store) == ["first"]
    before = store.version
    keep_run(Store(store.home), plan_of("by the command line"))
    assert words(store) == ["by the command line", "first"]
    assert store.version != before
    shutil.rmtree(first.file.parent)
    assert words(store) == ["by the command line"]
    late = store.home / "late"
    late.mkdir()
    assert store.find(EVERYTHING).total == 1
    time.sleep(0.01)
    record = json.loads((keep_run(store, plan_of("late")).file.parent / "run.json").read_text())
    (late / "run.json").write_text(json.dumps(record | {"id": "late"}))
    assert words(store) == ["late", "late", "by the command line"], "a folder may be copied file by file"
    with caplog.at_level(logging.WARNING):
        (late / "run.json").write_text(json.dumps(record | {"id": "other"}))
        assert Store(store.home).find(EVERYTHING).total == 2
    assert "is not a run: it says that it is other" in caplog.text


def test_what_is_deleted_is_gone_for_everybody_and_can_be_brought_back(store: Store) -> None:
    runs = [keep_run(store, plan_of(f"take {number}"), ANNA.owner) for number in range(3)]
    store.mark(runs[0].id, ANNA, starred=True, published=True)
    ids = [run.id for run in runs[:2]]
    store.delete(ids, ANNA)
    assert words(store, ANNA) == ["take 2"]
    assert words(store, BERT, only="published") == []
    for run in runs[:2]:
        with pytest.raises(NotFound):
            store.get(run.id)
        assert not run.file.exists()
    assert not store.opens(runs[0].id, "")
    assert store.run_of(str(runs[2].file), ANNA)
    for viewer, wanted in ((BERT, ids), (ANNA, [*ids, runs[2].id]), (ANNA, ["../" + ids[0]])):
        with pytest.raises(NotFound):
            store.restore(wanted, viewer)
    store.restore(ids, ANNA)
    assert words(store, ANNA) == ["take 2", "take 1", "take 0"]
    assert store.find(ANNA).marks[runs[0].id] == Marks(starred=True, published=True)
    store.delete(ids, ANNA)
    store.purge()
    store.restore(ids[:1], ANNA)
    store.purge(older_than_s=0)
    with pytest.raises(NotFound, match="gone for good"):
        store.restore(ids[1:], ANNA)
    assert words(store, ANNA) == ["take 2", "take 0"]


def test_a_tree_holds_what_a_viewer_may_see(store: Store) -> None:
    root = keep_run(store, plan_of("root"), ANNA.owner)
    middle = keep_run(store, plan_of("middle"), ANNA.owner, (Parent(root.id, "restyled from"),))
    leaves = [
        keep_run(store, plan_of(f"leaf {n}"), ANNA.owner if n else BERT.owner, (Parent(middle.id, "looped from"),))
        for n in range(6)
    ]

    def tree(run: Run, viewer: Viewer) -> tuple[list[str], list[str], int]:
        def see(run_id: str) -> Run | None:
            try:
                return store.seen(run_id, viewer)
            except NotFound:
                return None

        up = branches(run, see, lambda each: each.parents)
        down = branches(run, see, lambda each: store.children(each.id))
        flat = [f"{kin.how} {kin.run.plan.prompt}" for kin in down.kin]
        assert all(further.kin == () for further in (kin.beyond for kin in down.kin if kin.run in leaves))
        return [f"{kin.how} {kin.run.plan.prompt}" for kin in up.kin], flat, down.more

    assert tree(root, ANNA) == ([], ["restyled from middle"], 0)
    up, down, more = tree(middle, ANNA)
    assert (up, down, more) == (["restyled from root"], [f"looped from leaf {n}" for n in (1, 2, 3, 4)], 1)
    assert tree(leaves[0], BERT) == ([], [], 0)
    store.mark(middle.id, ANNA, published=True)
    assert tree(leaves[0], BERT) == (["looped from middle"], [], 0)


def test_a_picture_of_a_last_frame_is_known_by_its_pixels(store: Store, tmp_path: Path) -> None:
    run = keep_run(store, plan_of(), ANNA.owner)
    *_, last = read_frames(run.file.parent / "last.png")
    write_still(last, tmp_path / "carried.png")
    Image.fromarray(last).save(tmp_path / "carried.webp", lossless=True)
    for name in ("carried.png", "carried.webp"):
        assert store.run_of(str(tmp_path / name), ANNA) == run
        assert store.run_of(str(tmp_path / name), BERT) is None
        assert store.find_source(str(tmp_path / name), ANNA) == str(tmp_path / name), "the picture is what is used"
    assert Path(store.keep_source(str(tmp_path / "carried.png"), ANNA)).name == f"take-{run.id[:6]}.png"
    last[0, 0] += 1
    write_still(last, tmp_path / "changed.png")
    assert store.run_of(str(tmp_path / "changed.png"), ANNA) is None
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert store.run_of(str(tmp_path / "no.png"), ANNA) is None


def test_a_zip_comes_in_pieces_and_holds_clips_with_their_recipes(store: Store, tmp_path: Path) -> None:
    runs = [keep_run(store, plan_of(f"take {n}", seed=n), ANNA.owner) for n in range(3)]
    with runs[1].file.open("ab") as file:
        file.write(bytes(3 << 20))
    shutil.rmtree(runs[2].file.parent)
    pieces = list(bundle(runs))
    assert max(map(len, pieces)) < 3 << 20
    (tmp_path / "all.zip").write_bytes(b"".join(pieces))
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert [Path(name).suffix for name in names] == [".mp4", ".json", ".mp4", ".json", ".txt"]
        assert archive.read(names[0]) == runs[0].file.read_bytes()
        recipe = json.loads(archive.read(names[1]))
        assert (recipe["plan"]["seed"], recipe["run"]) == (0, runs[0].id)
        assert runs[2].id in archive.read("missing.txt").decode()
        assert not any(str(store.home) in archive.read(name).decode("latin-1") for name in names)
