"""What is kept of jobs: by a file, by one app at a time, and whatever the file system can do."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MakePlan

from pipeline.errors import BadHome, RunFailed
from pipeline.queue.ledger import FILE, REMEMBERED, Entry, Ledger
from pipeline.settings import ROOT
from pipeline.visitors import Origin, Parent

HOLD = "import sys, time; from pathlib import Path; from pipeline.queue.ledger import Ledger; "
HOLD += "kept = Ledger(Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"


def entry_of(plan_for: MakePlan, number: int = 1, state: str = "queued") -> Entry:
    origin = Origin("ann", (Parent("a1", "restyled from"),), f"job{number}")
    return Entry(origin.job, number, plan_for(), origin, came=3, state=state, created=1.5)


def test_what_is_kept_is_there_again(tmp_path: Path, plan_for: MakePlan) -> None:
    ledger, entry = Ledger(tmp_path), entry_of(plan_for)
    ledger.add(entry)
    ended = replace(entry, state="failed", started=2.0, ended=3.0, error="why", again="job2", dismissed=True)
    ledger.change(ended, turns={"begun": 4})
    ledger.close()
    later = Ledger(tmp_path)
    assert later.entries() == [ended]
    assert later.kept("turns") == {"begun": 4}
    assert later.kept("nothing") is None
    assert later.last_number() == 1
    later.close()


def test_only_the_newest_of_what_has_ended_is_kept(tmp_path: Path, plan_for: MakePlan) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(entry_of(plan_for, 1))
    for number in range(2, REMEMBERED + 5):
        ledger.add(entry_of(plan_for, number, "done"))
    numbers = [entry.number for entry in ledger.entries()]
    assert numbers == [1, *range(5, REMEMBERED + 5)]
    ledger.close()


def test_the_same_job_is_kept_once(tmp_path: Path, plan_for: MakePlan) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(entry_of(plan_for))
    with pytest.raises(RunFailed, match="could not be kept"):
        ledger.add(entry_of(plan_for))
    ledger.close()


def test_one_app_at_a_time_drives_a_home_until_it_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert other.stdout
    assert other.stdout.readline()
    with pytest.raises(BadHome, match=r"Another Onetake is running on .* Stop it first, or set ONETAKE_HOME"):
        Ledger(tmp_path)
    other.kill()
    other.communicate()
    Ledger(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadHome, match=r"cannot be written: Not a directory\. Set ONETAKE_HOME elsewhere"):
        Ledger(tmp_path / "file" / "home")


def test_where_memory_cannot_be_shared_over_a_file_another_journal_does(
    tmp_path: Path, plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"{FILE}-shm").mkdir()
    with caplog.at_level(logging.WARNING):
        ledger = Ledger(tmp_path)
    assert [record.message for record in caplog.records if "WAL" in record.message]
    ledger.add(entry_of(plan_for))
    ledger.close()
    assert len(caplog.records) == 1
    later = Ledger(tmp_path)
    assert later.entries() == [entry_of(plan_for)]
    later.close()


def test_a_file_of_no_use_is_set_aside_and_told(
    tmp_path: Path, plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(b"no tables at all" * 100)
    with caplog.at_level(logging.WARNING):
        ledger = Ledger(tmp_path)
    assert "set aside" in caplog.text
    assert len(list(tmp_path.glob(f"{FILE}.*"))) == 1
    ledger.add(entry_of(plan_for))
    assert len(ledger.entries()) == 1
    ledger.close()


def test_a_plan_that_nobody_can_read_is_given_up(
    tmp_path: Path, plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3

    ledger = Ledger(tmp_path)
    ledger.add(entry_of(plan_for, 1))
    ledger.add(entry_of(plan_for, 2))
    ledger.close()
    with sqlite3.connect(tmp_path / FILE) as base:
        base.execute("UPDATE jobs SET plan = '{}' WHERE number = 1")
    base.close()
    later = Ledger(tmp_path)
    assert [entry.number for entry in later.entries()] == [2]
    assert "job1 is given up" in caplog.text
    later.close()
