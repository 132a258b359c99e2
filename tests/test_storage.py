import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from seeded import grow_old, keep_run, plan_of

from pipeline.errors import NotFound, StorageFull
from pipeline.library.folders import is_far, local_disk, move_folder, size_of
from pipeline.library.index import INDEX
from pipeline.library.media_keys import SECRET_FILE, media_key, opens
from pipeline.library.runs import Run
from pipeline.library.storage import FRESH_S, Held
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.visitors import EVERYTHING, Parent, Viewer

ANNA = Viewer("a" * 32)
OTHER_DISK = Path("/dev/shm")
MOUNTS = (
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "40 22 0:40 / /data rw,nosuid shared:2 - fuse.hf-mount hf-mount rw\n"
    "41 22 0:41 / /data/near\\040by rw - fuseblk /dev/sdb1 rw\n"
    "42 22 0:42 / /net rw - nfs4 server:/ rw\n"
)


def home_of(tmp_path: Path, runs: int, room_for: float) -> tuple[Store, list[Run]]:
    """Return a store with some runs that has room for so many of them."""
    free = Store(tmp_path / "runs")
    kept = [keep_run(free, plan_of(f"take {number}"), ANNA.owner) for number in range(runs)]
    each = size_of(kept[0].file.parent)
    beside = free.storage.used() - each * runs
    return Store(free.home, quota=int(beside + each * room_for)), kept


def titles(store: Store) -> list[str]:
    return [run.plan.prompt for run in store.list()]


def test_without_a_quota_everything_stays(store: Store) -> None:
    for number in range(3):
        assert keep_run(store, plan_of(f"take {number}")).notes == plan_of(f"take {number}").notes
    assert len(store.list()) == 3
    store.storage.refuse_when_full()


def test_the_oldest_runs_that_nobody_marked_make_room_and_it_is_told(tmp_path: Path) -> None:
    store, runs = home_of(tmp_path, 4, room_for=4.5)
    store.mark(runs[0].id, ANNA, starred=True)
    store.mark(runs[1].id, ANNA, published=True)
    newest = keep_run(store, plan_of("newest"), ANNA.owner)
    assert titles(store) == ["newest", "take 3", "take 1", "take 0"]
    assert newest.notes[-1].startswith("The oldest take was removed, 0.0 MB, because ")
    assert newest.notes[-1].endswith("are kept here. Star a take to keep it.")
    with pytest.raises(NotFound):
        store.get(runs[2].id)
    assert store.storage.used() <= (store.storage.quota or 0)


def test_drafts_go_before_takes_however_old_these_are(tmp_path: Path) -> None:
    store, _ = home_of(tmp_path, 2, room_for=4.5)
    drafts = [keep_run(store, plan_of(f"draft {number}"), ANNA.owner, state="draft") for number in range(2)]
    store.mark(drafts[1].id, ANNA, starred=True)
    newest = keep_run(store, plan_of("newest"), ANNA.owner)
    assert titles(store) == ["newest", "draft 1", "take 1", "take 0"]
    assert newest.notes[-1].startswith("The oldest draft was removed, ")
    keep_run(store, plan_of("more"), ANNA.owner, state="draft")
    assert titles(store) == ["more", "newest", "draft 1", "take 1"]
    smaller = Store(store.home, quota=(store.storage.quota or 0) - size_of(newest.file.parent))
    last = keep_run(smaller, plan_of("last"), ANNA.owner)
    assert titles(smaller) == ["last", "newest", "draft 1"]
    assert last.notes[-1].startswith("The oldest draft and the oldest take were removed, ")


def test_what_a_job_needs_stays(tmp_path: Path) -> None:
    store, runs = home_of(tmp_path, 3, room_for=3.5)
    store.held_by(lambda: Held(frozenset({str(runs[1].file.parent / "halfway")}), frozenset({runs[0].id})))
    keep_run(store, plan_of("newest"), ANNA.owner)
    assert titles(store) == ["newest", "take 1", "take 0"]
    child = plan_of("child")
    keep_run(store, child, ANNA.owner, (Parent(store.list()[0].id, "restyled from"),))
    assert titles(store) == ["child", "newest", "take 1", "take 0"], "nor what it was made from"


def test_sources_that_nobody_needs_go_before_any_run(tmp_path: Path) -> None:
    store, runs = home_of(tmp_path, 2, room_for=2)
    store.held_by(lambda: Held(frozenset({str(waiting)})))
    for name in ("orphan", "waiting", "fresh", "used"):
        (tmp_path / f"{name}.png").write_bytes(name.encode() * 2000)
    orphan, waiting, fresh, used = (
        Path(store.keep_source(str(tmp_path / f"{name}.png"))) for name in ("orphan", "waiting", "fresh", "used")
    )
    for kept in (orphan, waiting, used):
        grow_old(kept.parent, FRESH_S + 60)
    record = runs[1].file.parent / "run.json"
    record.write_text(record.read_text().replace('"loras": []', f'"loras": [{lora_of(used)}]'))
    again = Store(store.home)
    again.held_by(lambda: Held(frozenset({str(waiting)})))
    assert again.get(runs[1].id).plan.files == (str(used),)
    again.purge()
    assert [path.exists() for path in (orphan, waiting, fresh, used)] == [False, True, True, True]
    again.delete([runs[1].id], ANNA)
    again.purge()
    assert used.exists(), "it may be brought back"
    again.purge(older_than_s=0)
    assert not used.exists()
    alone = Store(store.home)
    grow_old(waiting.parent, FRESH_S + 60)
    alone.purge(older_than_s=0)
    assert waiting.exists(), "who does not know the jobs removes no source"


def lora_of(path: Path) -> str:
    return json.dumps({"name": path.name, "weight": 1.0, "file": str(path), "sha256": ""})


def test_a_store_that_is_full_of_what_must_stay_refuses_more(tmp_path: Path) -> None:
    store, runs = home_of(tmp_path, 2, room_for=1)
    store.storage.refuse_when_full()
    for run in runs:
        store.mark(run.id, ANNA, starred=True)
    with pytest.raises(StorageFull, match="Delete some takes"):
        store.storage.refuse_when_full()
    kept = keep_run(store, plan_of("made all the same"), ANNA.owner)
    assert "removed" not in " ".join(kept.notes)
    store.mark(runs[0].id, ANNA, starred=False)
    store.storage.refuse_when_full()


def test_deleted_runs_make_room_first(tmp_path: Path) -> None:
    store, runs = home_of(tmp_path, 3, room_for=3.5)
    store.delete([runs[2].id], ANNA)
    newest = keep_run(store, plan_of("newest"), ANNA.owner)
    assert titles(store) == ["newest", "take 1", "take 0"]
    assert "removed" not in " ".join(newest.notes)


def test_what_is_served_and_what_broke_off_goes_when_it_is_old(tmp_path: Path) -> None:
    store, _ = home_of(tmp_path, 2, room_for=2.5)
    for name in (".served", ".unfinished"):
        for age in ("old", "new"):
            (store.home / name / age).mkdir(parents=True)
            (store.home / name / age / "file").write_bytes(bytes(5000))
        grow_old(store.home / name / "old", 2 * 24 * 3600)
    keep_run(store, plan_of("newest"), ANNA.owner)
    store.purge()
    assert [(store.home / ".served" / age).exists() for age in ("old", "new")] == [False, True]
    assert [(store.home / ".unfinished" / age).exists() for age in ("old", "new")] == [False, True]


def test_uploads_cost_nobody_a_take(tmp_path: Path) -> None:
    store, _ = home_of(tmp_path, 2, room_for=3.5)
    for name, age in (("fresh", 60.0), ("used", 3600.0), ("earlier", 3600.0)):
        (store.home / ".served" / name).mkdir(parents=True)
        (store.home / ".served" / name / "film.mp4").write_bytes(bytes(10**6))
        grow_old(store.home / ".served" / name, age)
    store.held_by(lambda: Held(frozenset({str(store.home / ".served" / "used" / "film.mp4")})))
    store.storage.refuse_when_full()
    newest = keep_run(store, plan_of("newest"), ANNA.owner)
    assert titles(store) == ["newest", "take 1", "take 0"]
    assert "removed" not in " ".join(newest.notes)
    left = {path.name for path in (store.home / ".served").iterdir()}
    assert left == {"fresh", "used"}, "a page shows the one, a job needs the other"
    keep_run(store, plan_of("more"), ANNA.owner)
    assert titles(store) == ["more", "newest", "take 1"], "takes still make room for takes"


def test_a_home_without_a_quota_is_tidied_up_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    keep_run(store, plan_of("take"), ANNA.owner)
    for age in ("old", "new"):
        (store.home / ".served" / age).mkdir(parents=True)
        (store.home / ".served" / age / "file").write_bytes(bytes(50))
    grow_old(store.home / ".served" / "old", 2 * 24 * 3600)
    store.purge()
    assert [(store.home / ".served" / age).exists() for age in ("old", "new")] == [False, True]


def test_two_who_keep_the_same_source_at_once_both_have_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    (upload := tmp_path / "clip.mp4").write_bytes(bytes(range(256)) * 40_000)
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(store.keep_source, [str(upload)] * 16))
    (path,) = set(kept)
    assert Path(path).is_relative_to(store.home / ".sources")
    assert Path(path).read_bytes() == upload.read_bytes()
    assert [each.name for each in Path(path).parent.iterdir()] == ["clip.mp4"]


@pytest.mark.skipif(not OTHER_DISK.is_dir(), reason="needs a second disk")
def test_where_folders_cannot_be_renamed_they_are_copied(tmp_path: Path) -> None:
    local = OTHER_DISK / f"onetake-{time.time_ns()}"
    local.mkdir()
    try:
        store = Store(tmp_path / "bucket", local=local)
        run = keep_run(store, plan_of(), ANNA.owner)
        with pytest.raises(OSError, match="cross-device"):
            run.file.parent.rename(local / "x")
        assert store.list() == Store(store.home, local=local).list() == (run,)
        assert {path.name for path in run.file.parent.iterdir()} == {
            *("clip.mp4", "last.png", "latents.safetensors", "poster.webp", "run.json"),
        }
        assert [path for path in store.home.rglob("*") if path.is_file() and path.parent != run.file.parent] == []
        assert (local / INDEX).is_file()
        assert not any((local / ".unfinished").iterdir())
        store.delete([run.id], ANNA)
        assert store.list() == ()
        store.restore([run.id], ANNA)
        assert store.list() == (run,)
    finally:
        shutil.rmtree(local)


def test_a_folder_is_copied_with_the_file_that_counts_last(tmp_path: Path) -> None:
    if not OTHER_DISK.is_dir():
        pytest.skip("needs a second disk")
    source = OTHER_DISK / f"onetake-{time.time_ns()}"
    source.mkdir()
    for name in ("run.json", "a", "z"):
        (source / name).write_bytes(bytes(10))
    move_folder(source, tmp_path / "there", last="run.json")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "there").iterdir()}
    assert max(times, key=lambda name: (times[name], name == "run.json")) == "run.json"
    assert not source.exists()


def test_mounted_buckets_are_known(tmp_path: Path) -> None:
    assert is_far(Path("/data/runs"), MOUNTS)
    assert is_far(Path("/net"), MOUNTS)
    for near in ("/home/me/runs", "/database", "/data/near by/runs"):
        assert not is_far(Path(near), MOUNTS)
    assert not is_far(Path("/data"), "")
    assert local_disk(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == [], "trying leaves nothing"
    (tmp_path / "file").write_text("")
    elsewhere = local_disk(tmp_path / "file" / "runs")
    assert elsewhere.is_dir()
    assert elsewhere.stat().st_mode & 0o77 == 0, "for its user only"


def test_keys_of_media_follow_from_a_secret_that_only_its_user_reads(tmp_path: Path) -> None:
    key = media_key(tmp_path, "a" * 20)
    assert key == media_key(tmp_path, "a" * 20)
    assert len({key, media_key(tmp_path, "b" * 20), media_key(tmp_path / "other", "a" * 20)}) == 3
    assert opens(tmp_path, "a" * 20, key)
    for wrong in ("", key[:-1], key.upper() + "x", "é", media_key(tmp_path, "b" * 20)):
        assert not opens(tmp_path, "a" * 20, wrong)
    assert (tmp_path / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [SECRET_FILE, "other"]


@pytest.mark.parametrize(
    ("env", "quota"),
    [
        ({}, None),
        ({"SPACE_ID": "user/name"}, 20 * 10**9),
        ({"SPACE_ID": "user/name", "ONETAKE_QUOTA_GB": "0"}, None),
        ({"ONETAKE_QUOTA_GB": "1.5"}, 1_500_000_000),
    ],
)
def test_a_space_keeps_twenty_gigabytes_and_a_laptop_what_it_has(env: dict[str, str], quota: int | None) -> None:
    assert Settings.from_env(env).quota == quota


def test_a_home_that_is_not_there_lists_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "nothing")
    assert store.list() == store.newest("tabletop", "", 5) == ()
    assert store.find(EVERYTHING).total == 0
    assert not store.home.exists()
