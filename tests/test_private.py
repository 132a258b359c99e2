"""Two visitors of one app, who know each other's ids: neither reaches what is not published, by any address."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from app_server import Server, running_app
from gradio_client import Client  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from seeded import keep_run, plan_of

from pipeline.library.marks import Marks
from pipeline.library.runs import Run
from pipeline.store import Store
from pipeline.visitors import Viewer, owner_of

ANNA, BERT = "anna-has-a-key-of-her-own", "bert-has-another-key-too"
SECRET = "zanzibar"
API = "gradio_api"
# Handlers that show a run to its owner, whether it is asked for or among all others.
TELLING = {"arrive", "refresh", "open_run"}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Reached from elsewhere, so that nobody is the machine's own user.
    with running_app(tmp_path_factory.mktemp("private"), HOST="0.0.0.0") as running:
        yield running


@pytest.fixture(scope="module")
def store(server: Server) -> Store:
    return Store(server.home)


@pytest.fixture(scope="module")
def hers(store: Store) -> Run:
    return keep_run(store, plan_of(f"a red ball in {SECRET}"), owner_of(ANNA))


@pytest.fixture(scope="module")
def machines(store: Store) -> Run:
    return keep_run(store, plan_of(f"a blue ball in {SECRET}"))


def ask(server: Server, path: str, data: Any = None, **headers: str) -> Answer:
    body = data if isinstance(data, bytes | None) else json.dumps(data).encode()
    kind = {"Content-Type": "application/json"} if isinstance(data, dict) else {}
    try:
        with urlopen(Request(f"{server.url}/{path}", body, kind | headers), timeout=60) as answer:
            return Answer(answer.status, answer.read(), dict(answer.headers))
    except HTTPError as error:
        return Answer(error.code, error.read())


def zipped(server: Server, *takes: str) -> Answer:
    return ask(server, "takes.zip", urlencode([("take", take) for take in takes]).encode())


def test_media_want_a_key_which_follows_from_the_run(server: Server, store: Store, hers: Run, machines: Run) -> None:
    key, others = store.media_key(hers.id), store.media_key(machines.id)
    for name in ("clip.mp4", "poster.webp"):
        address = f"media/{hers.id}/{name}"
        assert ask(server, f"{address}?key={key}").body == (hers.file.parent / name).read_bytes()
        for wrong in ("", f"?key={others}", f"?key={key[:-1]}", "?key=", f"?key={BERT}"):
            assert ask(server, address + wrong).status == 404
    assert ask(server, f"media/{machines.id}/clip.mp4").status == 404
    assert ask(server, f"media/{hers.id}/clip.mp4?key={key}", Range="bytes=0-9").status == 206
    for secret in ("latents.safetensors", "last.png", "run.json", "marks.json", "..%2f..%2f.media-secret"):
        assert ask(server, f"media/{hers.id}/{secret}?key={key}").status == 404
    for path in (hers.file, server.home / ".media-secret", server.home / ".library.sqlite"):
        assert ask(server, f"{API}/file={path}").status == 403


def test_a_zip_wants_the_same_keys(server: Server, store: Store, hers: Run) -> None:
    key = store.media_key(hers.id)
    answer = zipped(server, f"{hers.id}.{key}")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        clip, recipe = archive.namelist()
        assert archive.read(clip) == hers.file.read_bytes()
        assert SECRET in archive.read(recipe).decode()
    for takes in ((hers.id,), (f"{hers.id}.{'0' * 32}",), (f"{hers.id}.{key}", "nothing."), (f"../{hers.id}.{key}",)):
        assert zipped(server, *takes).status == 404
    assert zipped(server).status == 400
    assert ask(server, "takes.zip", bytes(100_000)).status == 413
    assert ask(server, "takes.zip").status == 405


def test_programs_cannot_take_the_runs_of_others_as_sources(server: Server, hers: Run, machines: Run) -> None:
    client, small = Client(server.url, verbose=False), {"width": 64, "height": 64, "steps": 1, "visitor": BERT}
    for run in (hers, machines):
        source = f"run:{run.id}"
        for endpoint, fields in (
            ("/restyle", {"video": source, "prompt": "a ball"}),
            ("/loop", {"prompt": "", "video": source}),
            ("/transition", {"first": source, "second": source}),
            ("/animate", {"prompt": "a ball", "image": source}),
            ("/animate", {"prompt": "a ball", "at": [{"seconds": 0.5, "image": source}]}),
        ):
            with pytest.raises(AppError, match="There is no run"):
                client.predict(**fields, **small, api_name=endpoint)


class Page:
    """A page as its own script sees it: its handlers by number, called with whatever somebody likes to send."""

    def __init__(self, server: Server, visitor: str) -> None:
        self._server, self._visitor = server, visitor
        config = json.loads(ask(server, "config").body)
        self.handlers = [each for each in config["dependencies"] if each["backend_fn"]]
        self._components = {each["id"]: each for each in config["components"]}

    def call(self, handler: dict[str, Any], run: Run) -> str:
        """Call a handler as somebody who names a run wherever a name may stand, and return all it answers."""
        session = f"{self._visitor[:4]}{handler['id']}"
        said = {"run": run.id, "runs": [run.id], "job": run.id, "on": True, "model": "tabletop"}
        asked = {"fn_index": handler["id"], "session_hash": session, "event_data": said, "trigger_id": None}
        asked["data"] = [self._value(part, run) for part in handler["inputs"]]
        if not handler["queue"]:
            return ask(self._server, f"{API}/run/predict", asked).body.decode()
        assert ask(self._server, f"{API}/queue/join", asked).status == 200
        return ask(self._server, f"{API}/queue/data?session_hash={session}").body.decode()

    def _value(self, part: int, run: Run) -> Any:
        component = self._components[part]
        if component["type"] == "browserstate":
            return self._visitor
        if component["type"] == "textbox" and component["props"]["visible"] == "hidden":
            return f"{run.id} 1 0.000"
        return component["props"].get("value")


def test_no_handler_of_the_page_gives_away_or_changes_what_belongs_to_others(
    server: Server, store: Store, hers: Run, machines: Run
) -> None:
    his, own = Page(server, BERT), Page(server, ANNA)
    handlers = [handler for handler in his.handlers if by_page(handler)]
    assert len(handlers) > 60
    for handler in handlers:
        check_that_nothing_is_told(his.call(handler, hers), store, hers, handler["api_name"])
    # The same calls tell their owner.
    telling = {name: handler for handler in handlers if (name := handler["api_name"]) in TELLING}
    assert telling.keys() == TELLING
    for name, handler in telling.items():
        assert f"media/{hers.id}" in own.call(handler, hers), name
        check_that_nothing_is_told(own.call(handler, machines), store, machines, name)
    assert (store.marks(machines.id), store.get(hers.id)) == (Marks(), hers)


def check_that_nothing_is_told(answer: str, store: Store, run: Run, name: str) -> None:
    for told in (f"{run.plan.prompt}", store.media_key(run.id), f"media/{run.id}"):
        assert told not in answer, name
    assert not store.marks(run.id).starred | store.marks(run.id).published, name


def by_page(handler: dict[str, Any]) -> bool:
    # Endpoints for programs are asked by their names.
    return bool(handler["api_visibility"] == "private")


def test_what_is_published_is_seen_until_it_is_taken_back(server: Server, store: Store, hers: Run) -> None:
    pages = {name: Page(server, name) for name in (ANNA, BERT)}
    handlers = {each["api_name"]: each for each in pages[BERT].handlers}
    anna, address = store.find(viewer_of(ANNA)).runs[0], f"media/{hers.id}/clip.mp4"
    assert anna == hers
    store.mark(hers.id, viewer_of(ANNA), published=True)
    seen = ask(server, address)
    assert (seen.status, seen.headers["cache-control"]) == (200, "no-cache")
    assert ask(server, address, **{"If-None-Match": seen.headers["etag"]}).status == 304
    opened = pages[BERT].call(handlers["open_run"], hers)
    assert SECRET in opened
    assert "Published by somebody else" in opened
    assert store.media_key(hers.id) not in opened
    assert zipped(server, f"{hers.id}.").status == 200
    for secret in ("latents.safetensors", "last.png"):
        assert ask(server, f"media/{hers.id}/{secret}").status == 404
    store.mark(hers.id, viewer_of(ANNA), published=False)
    assert ask(server, address, **{"If-None-Match": seen.headers["etag"]}).status == 404
    assert SECRET not in pages[BERT].call(handlers["open_run"], hers)
    assert zipped(server, f"{hers.id}.").status == 404


def viewer_of(key: str) -> Viewer:
    return Viewer(owner_of(key))


def test_what_is_deleted_is_served_to_nobody(server: Server, store: Store) -> None:
    run = keep_run(store, plan_of("gone soon"), owner_of(ANNA))
    address = f"media/{run.id}/clip.mp4?key={store.media_key(run.id)}"
    assert ask(server, address).status == 200
    store.delete([run.id], viewer_of(ANNA))
    assert ask(server, address).status == 404
    assert not Path(run.file).exists()
