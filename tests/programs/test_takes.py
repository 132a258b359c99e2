"""Takes, links, jobs and drafts by named endpoints."""

from pathlib import Path
from typing import Any

import pytest
from app_server import Server
from gradio_client import Client  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from test_app import status_of

from pipeline.request import TASKS
from pipeline.video import read_frames
from programs.conftest import JOBS, RUNS, SMALL, Program

GONE = "There is no (run|job)"


@pytest.fixture(scope="module")
def mine(client: Client, made: dict[str, Any]) -> Program:
    return Program(client, made["visitor"])


@pytest.fixture(scope="module")
def stranger(client: Client) -> Program:
    return Program(client, "somebody-else-entirely-0123")


def test_only_what_is_meant_for_programs_has_a_name(client: Client) -> None:
    named = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert set(named) == {f"/{name}" for name in (*TASKS, *RUNS, *JOBS)}


def test_takes_are_listed_searched_and_shown(mine: Program, made: dict[str, Any]) -> None:
    file, second = mine("text", "a blue cube turns on grass", **SMALL)
    assert second["visitor"] == mine.key
    listed = mine("list_runs", limit=1)
    assert ([each["id"] for each in listed["runs"]], listed["total"]) == ([second["id"]], 2)
    (found,) = mine("list_runs", search="RED snow")["runs"]
    assert (found["id"], found["seed"], found["frames"]) == (made["id"], 7, 9)
    shown = mine("show_run", f"run:{second['id']}")
    assert (shown["recipe"]["prompt"], shown["parents"], shown["mine"]) == ("a blue cube turns on grass", [], True)
    assert Path(mine("run_file", second["link"])).read_bytes() == Path(file).read_bytes()
    assert status_of(second["clip"])[0] == 200


def test_a_take_is_given_by_its_link_and_its_tree_is_told(mine: Program, made: dict[str, Any]) -> None:
    for name in (made["link"], made["clip"], f"run:{made['id']}"):
        _, child = mine("restyle", name, "a blue ball", strength=0.5, steps=2)
        assert child["parents"] == [{"run": made["id"], "how": "restyled from"}]
    children = [each["run"] for each in mine("show_run", made["id"])["children"]]
    assert child["id"] in children


def test_links_lead_back_to_what_was_asked(mine: Program, made: dict[str, Any]) -> None:
    links = mine("link_run", made["id"])
    assert mine("read_link", links["run"])["id"] == made["id"]
    opened = mine("read_link", links["recipe"])
    assert opened["notes"] == []
    task = opened["fields"].pop("task")
    again, _ = mine(task, **opened["fields"])
    before = read_frames(Path(mine("run_file", made["id"])))
    assert all((one == other).all() for one, other in zip(before, read_frames(Path(again)), strict=True))
    with pytest.raises(AppError, match="holds neither a take nor a recipe"):
        mine("read_link", "https://example.org/")


def test_takes_are_starred_deleted_and_brought_back(mine: Program) -> None:
    _, take = mine("text", "a green cone falls onto sand", **SMALL)
    assert mine("star_run", take["id"])["starred"]
    assert [each["id"] for each in mine("list_runs", only="starred")["runs"]] == [take["id"]]
    assert not mine("star_run", take["id"], starred=False)["starred"]
    assert mine("delete_runs", [f"run:{take['id']}"])["deleted"] == [take["id"]]
    with pytest.raises(AppError, match=GONE):
        mine("show_run", take["id"])
    mine("restore_runs", [take["id"]])
    assert mine("show_run", take["id"])["id"] == take["id"]


def test_others_reach_only_what_is_published(mine: Program, stranger: Program, made: dict[str, Any]) -> None:
    name = made["id"]
    for endpoint in ("show_run", "run_file", "link_run", "read_link", "star_run", "publish_run", "finish_run"):
        with pytest.raises(AppError, match=GONE):
            stranger(endpoint, f"?run={name}")
    for endpoint in ("delete_runs", "restore_runs"):
        with pytest.raises(AppError, match=f"{GONE}|gone for good"):
            stranger(endpoint, [name])
    with pytest.raises(AppError, match=GONE):
        stranger("restyle", f"run:{name}", "a blue ball")
    for endpoint in ("show_job", "cancel_job", "retry_job"):
        with pytest.raises(AppError, match=GONE):
            stranger(endpoint, made["job"])
    assert stranger("list_runs", only="all")["total"] == 0
    mine("publish_run", name)
    shown = stranger("show_run", name)
    assert (shown["mine"], shown["starred"], shown["children"]) == (False, False, []), "what was made of it is private"
    with pytest.raises(AppError, match=GONE):
        stranger("star_run", name)
    assert not mine("publish_run", name, published=False)["published"]
    with pytest.raises(AppError, match=GONE):
        stranger("show_run", name)


def test_a_job_is_followed_stopped_and_tried_again(mine: Program) -> None:
    file, job = mine("text", "a red ball", **{**SMALL, "steps": 100}, wait=False)
    assert (file, job["state"] in ("queued", "running")) == (None, True)
    _, waits = mine("text", "a blue ball", **SMALL, wait=False)
    assert [each["job"] for each in mine("list_jobs")["jobs"]][-1] == waits["job"]
    mine("cancel_job", waits["job"])
    mine("cancel_job", job["job"])
    assert mine.ended(waits["job"])["state"] == "cancelled"
    assert mine.ended(job["job"])["state"] in ("stopped", "cancelled")
    again = mine("retry_job", waits["job"])
    assert mine("retry_job", waits["job"])["job"] == again["job"]
    ended = mine.ended(again["job"])
    assert (ended["state"], mine("show_run", ended["run"])["state"]) == ("done", "done")
    with pytest.raises(AppError, match="can be run again"):
        mine("retry_job", again["job"])


def test_drafts_are_begun_and_one_is_finished(mine: Program) -> None:
    begun = mine("make_drafts", "a {red|blue} ball", **{**SMALL, "steps": 10})
    assert (len(begun["jobs"]), begun["notes"]) == (2, [])
    drafts = [mine.ended(job["job"]) for job in begun["jobs"]]
    assert [draft["state"] for draft in drafts] == ["draft", "draft"]
    file, whole = mine("finish_run", drafts[1]["run"])
    assert (whole["state"], len(list(read_frames(Path(file))))) == ("done", 9)
    assert whole["parents"] == [{"run": drafts[1]["run"], "how": "finished from"}]
    with pytest.raises(AppError, match="has all of its steps"):
        mine("finish_run", whole["id"])
    assert [run["state"] for run in mine("finish_runs", [drafts[0]["run"]])["runs"]] == ["done"]
    with pytest.raises(AppError, match=r"waiting|place"):
        mine("make_drafts", "a ball", seeds=16, **{**SMALL, "steps": 100})
    assert mine("list_jobs")["jobs"] == [], "all are queued, or none"


@pytest.mark.parametrize(
    ("endpoint", "fields", "words"),
    [
        ("list_runs", {"limit": 0}, "limit is 0"),
        ("list_runs", {"limit": "many"}, "limit is 'many': it should be a valid integer"),
        ("list_runs", {"sort": "odd"}, "'newest', 'oldest'"),
        ("list_runs", {"visitor": "short"}, "that nobody can guess"),
        ("list_runs", {"visitor": 5}, "no text"),
        ("delete_runs", {"runs": []}, "No takes are named"),
        ("delete_runs", {"runs": "all"}, "runs is 'all'"),
        ("show_run", {"run": "../../etc/passwd"}, "names no take"),
        ("show_job", {"job": "nothing"}, "There is no job"),
        ("make_drafts", {"prompt": "a {red|blue"}, "no partner"),
        ("make_drafts", {"prompt": "a ball", "seeds": "two"}, "number of seeds"),
        ("restyle", {"video": "/etc/passwd", "prompt": "a ball"}, "no uploaded file"),
    ],
)
def test_what_makes_no_sense_is_refused_in_plain_words(
    client: Client, endpoint: str, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(**fields, api_name=f"/{endpoint}")


def test_an_unknown_field_is_refused(server: Server) -> None:
    status, answer = status_of(f"{server.url}/gradio_api/call/v2/list_runs", {"owner": "everybody"})
    assert (status, b"owner" in answer) == (422, True)
