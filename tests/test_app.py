"""The app as a program meets it: it starts, answers, refuses, and gives away only what is public."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import lora_files
import pytest
from app_server import PATIENCE_S, Server, running_app
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image
from test_layouts import film

from pipeline.store import Store
from pipeline.video import read_frames, read_recipe

SMALL = {"prompt": "a red ball bounces on snow", "width": 64, "height": 64, "frames": 9, "steps": 4}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_app(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(
        server.url,
        verbose=False,
        httpx_kwargs={"timeout": PATIENCE_S},
        download_files=tmp_path_factory.mktemp("downloads"),
    )


def ask(client: Client, **asked: Any) -> tuple[Path, dict[str, Any]]:
    file, run = client.predict(**(SMALL | asked), api_name="/text")
    return Path(file), run


def status_of(url: str, data: dict[str, Any] | None = None, **headers: str) -> tuple[int, bytes]:
    body = None if data is None else json.dumps(data).encode()
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"} | headers), timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_the_endpoint_returns_the_video_and_its_run(client: Client) -> None:
    file, run = ask(client, seed=2**64 - 1)
    frames = list(read_frames(file))
    assert len(frames) == 9
    assert frames[0].shape == (64, 64, 3)
    assert run["plan"]["seed"] == 2**64 - 1
    assert run["plan"] == read_recipe(file)["plan"]
    assert set(run["timings"]) >= {"denoise", "decode", "encode", "total"}


def test_the_endpoint_draws_a_seed_and_tells_it(client: Client) -> None:
    _, first = ask(client)
    _, second = ask(client)
    assert first["plan"]["seed"] != second["plan"]["seed"]


def test_one_frame_is_a_picture(client: Client) -> None:
    file, run = ask(client, frames=1, seed=1)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert run["plan"]["segments"][0]["frames"] == 1


def test_what_was_rounded_or_not_understood_is_noted(client: Client) -> None:
    _, run = ask(client, prompt="a red dragon bounces on snow", width=70)
    assert "70×64 became 64×64" in run["notes"][0]
    assert "unknown: dragon" in run["notes"][1]


def test_a_picture_is_animated_and_kept_for_the_next_time(server: Server, client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), "red").save(tmp_path / "red.png")
    sampling = {"width": 64, "height": 64, "frames": 9, "steps": 4}
    file, run = client.predict("a red ball", handle_file(tmp_path / "red.png"), **sampling, api_name="/animate")
    assert len(list(read_frames(Path(file)))) == 9
    assert "red.png, 90×60, was cropped" in run["notes"][0]
    (pin,) = run["plan"]["segments"][0]["pins"]
    assert pin["given"]["file"] == "red.png"
    assert read_recipe(Path(file))["plan"] == run["plan"]
    (kept,) = Store(server.home).get(run["id"]).plan.segments[0].pins
    assert Path(kept.given.file).is_relative_to(server.home)
    assert Path(kept.given.file).is_file()


def test_pictures_stand_at_any_second(client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    sampling = {"width": 64, "height": 64, "frames": 9, "steps": 3}
    still = {"seconds": 0.5, "image": handle_file(tmp_path / "red.png"), "strength": 0.5}
    _, run = client.predict("a red ball", at=[still], focus=[0.2, 0.8], **sampling, api_name="/animate")
    (pin,) = run["plan"]["segments"][0]["pins"]
    assert (pin["frame"], pin["strength"], pin["given"]["focus"]) == (4, 0.5, [0.2, 0.8])


def test_a_clip_is_restyled_joined_extended_and_looped(client: Client, tmp_path: Path) -> None:
    small = {"width": 64, "height": 64, "steps": 3}
    clip = handle_file(film(tmp_path / "clip.mp4", 17, size=(64, 64)))
    file, run = client.predict(clip, "a ball", strength=0.6, range=[0.5, 1.25], **small, api_name="/restyle")
    assert run["plan"]["segments"][0]["source"]["clip"]["file"] == "clip.mp4"
    assert len(list(read_frames(Path(file)))) == 17
    sources, owner = (clip, f"run:{run['id']}"), {"visitor": run["visitor"]}
    file, _ = client.predict(*sources, curve="hold", seconds=1.0, **small, **owner, api_name="/transition")
    assert len(list(read_frames(Path(file)))) == 27
    asked = {"direction": "backward", "seconds": 0.5}
    file, longer = client.predict(f"run:{run['id']}", **asked, **small, **owner, api_name="/extend")
    assert (len(list(read_frames(Path(file)))), longer["parents"][0]["how"]) == (21, "extended from")
    file, run = client.predict("a ball turns", frames=9, **small, api_name="/loop")
    assert len(list(read_frames(Path(file)))) == 8
    assert run["plan"]["segments"][0]["rolled"]


def test_a_storyboard_is_made_of_its_file_and_one_of_its_cards_again(client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    small = {"width": 64, "height": 64, "steps": 2, "seed": 7}
    cards: list[dict[str, Any]] = [
        {"seconds": 0, "prompt": "a red ball", "image": handle_file(tmp_path / "red.png")},
        {"seconds": 1, "prompt": "a blue cube", "begins": "with a cut"},
    ]
    board = {"onetake": "storyboard", "cards": cards, "seconds": 2}
    file, run = client.predict(board, **small, api_name="/storyboard")
    assert [segment["prompt"] for segment in run["plan"]["segments"]] == ["a red ball", "a blue cube"]
    assert run["plan"]["segments"][0]["pins"][0]["given"]["file"] == "red.png"
    mine = {"visitor": run["visitor"]}
    text = json.dumps(board | {"cards": [{**cards[0], "image": f"run:{run['id']}"}, {**cards[1], "prompt": "a cone"}]})
    with pytest.raises(AppError, match="has 18 frames, and these cards make 17"):
        client.predict(text, remake=2, video=f"run:{run['id']}", **small, **mine, api_name="/storyboard")
    text = text.replace(
        f"run:{run['id']}", f"data:image/png;base64,{b64encode((tmp_path / 'red.png').read_bytes()).decode()}"
    )
    (tmp_path / "board.json").write_text(text, "utf-8")
    asked = {"remake": 2, "video": run["link"], **small, **mine}
    again, remade = client.predict(handle_file(tmp_path / "board.json"), **asked, api_name="/storyboard")
    assert (remade["plan"]["segments"][0]["prompt"], len(remade["plan"]["segments"])) == ("a cone", 1)
    assert remade["parents"] == [{"run": run["id"], "how": "remade from"}]
    assert len(list(read_frames(Path(again)))) == len(list(read_frames(Path(file))))


def test_a_board_names_no_files_of_this_machine(client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    for source in (str(tmp_path / "red.png"), f"/gradio_api/file={tmp_path / 'red.png'}", "red.png", "http://[::1]/x"):
        card = {"seconds": 0, "image": source}
        for board in (
            {"onetake": "storyboard", "cards": [card]},
            json.dumps({"onetake": "storyboard", "cards": [card]}),
        ):
            with pytest.raises(AppError, match=r"no uploaded file|names no take"):
                client.predict(board, api_name="/storyboard")
    path = str(tmp_path / "red.png")
    foreign: tuple[Any, ...] = ("", "board.json", path, {"path": path, "meta": {}}, {})
    for board in foreign:
        with pytest.raises(AppError, match=r"no uploaded file|Give the JSON of a storyboard"):
            client.predict(board, api_name="/storyboard")


def test_a_lora_reaches_the_run_and_its_recipe(client: Client, tmp_path: Path) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", trigger="golden moon")
    file, run = ask(client, seed=7, loras=[{"source": handle_file(path), "weight": 0.5}])
    (lora,) = run["plan"]["loras"]
    assert (lora["name"], lora["file"], lora["weight"]) == ("ink.safetensors", "ink.safetensors", 0.5)
    assert "listens to: golden moon. Add that to the prompt." in run["notes"][0]
    assert read_recipe(file)["plan"] == run["plan"]
    bare, _ = ask(client, seed=7)
    assert any((one != other).any() for one, other in zip(read_frames(file), read_frames(bare), strict=True))
    # Neither a file of this machine, nor a path in the disguise of a Hub id.
    for source in (path, "user/name:/ink.safetensors", "user/name:../ink.safetensors", 1, None):
        with pytest.raises(AppError, match="no uploaded file"):
            ask(client, loras=[{"source": source}])
    with pytest.raises(AppError, match="loras holds 'ink'"):
        ask(client, loras=["ink"])


def test_uploaded_latents_and_odd_stills_are_refused(server: Server, client: Client, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"{}")
    with pytest.raises(AppError, match="no uploaded file"):
        client.predict(handle_file(tmp_path / "x.safetensors"), "a ball", strength=0.5, api_name="/restyle")
    with pytest.raises(AppError, match="at holds 'x'"):
        client.predict("a ball", at=["x"], api_name="/animate")
    assert server.home.exists()


def test_files_of_this_machine_are_not_read(server: Server, tmp_path: Path) -> None:
    film(tmp_path / "private.mp4", 17, size=(64, 64))
    for path in (str(tmp_path / "private.mp4"), str(server.home / "x" / "latents.safetensors")):
        asked = {"video": {"path": path, "meta": {"_type": "gradio.FileData"}}, "prompt": "a ball"}
        status, answer = status_of(f"{server.url}/gradio_api/call/v2/restyle", asked)
        if status == 200:
            _, answer = status_of(f"{server.url}/gradio_api/call/v2/restyle/{json.loads(answer)['event_id']}")
            assert b"event: error" in answer
        assert b"complete" not in answer


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prompt": " "}, "The prompt is empty"),
        ({"prompt": "a" * 2001}, "Shorten it to 2000"),
        ({"width": 16384, "height": 16384}, "choose from 64 to 256"),
        ({"frames": 0}, "choose from 1 to 481"),
        ({"frames": 10**6}, "choose from 1 to 481"),
        ({"frames": None, "seconds": -1.0}, "choose from 0 to 60 s"),
        ({"seed": 2**64}, "give a whole number from 0"),
        ({"steps": "4"}, "give a whole number of steps"),
        ({"model": "sora"}, "Choose one of: tabletop"),
        ({"memory": "group"}, "group is for a card"),
        ({"shape": "square"}, "Both a shape and a size"),
        ({"seconds": 2.0}, "Both frames and seconds"),
    ],
)
def test_what_cannot_be_made_is_refused_in_plain_words(client: Client, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(AppError, match=words):
        ask(client, **asked)


def test_no_number_is_refused_too(server: Server) -> None:
    # Python's own client does not send NaN; a program without it can.
    status, answer = status_of(f"{server.url}/gradio_api/call/v2/text", {"prompt": "a ball", "seconds": float("nan")})
    assert status == 200
    _, stream = status_of(f"{server.url}/gradio_api/call/v2/text/{json.loads(answer)['event_id']}")
    assert b"event: error" in stream
    assert b"give a number of seconds" in stream


def test_an_unknown_field_is_refused(server: Server, client: Client) -> None:
    with pytest.raises(TypeError, match="negative_prompt"):
        ask(client, negative_prompt="blur")
    status, answer = status_of(f"{server.url}/gradio_api/call/v2/text", SMALL | {"negative_prompt": "blur"})
    assert status == 422
    assert "negative_prompt" in json.loads(answer)["error"]


def test_only_clip_and_poster_of_a_run_are_served(server: Server, client: Client) -> None:
    _, made = ask(client, seed=3)
    store = Store(server.home)
    run, key = store.get(made["id"]), f"?key={store.media_key(made['id'])}"
    media = f"{server.url}/media/{run.id}"
    assert status_of(f"{media}/clip.mp4{key}", Range="bytes=0-99") == (206, run.file.read_bytes()[:100])
    assert status_of(f"{media}/poster.webp{key}")[0] == 200
    assert status_of(f"{media}/clip.mp4")[0] == status_of(f"{media}/clip.mp4?key=guessed")[0] == 404
    (run.file.parent / "halfway.safetensors").write_bytes(b"where a take stopped")
    for secret in ("latents.safetensors", "halfway.safetensors", "run.json", "..%2f..%2fapp.py"):
        assert status_of(f"{media}/{secret}{key}")[0] == 404
        assert status_of(f"{server.url}/gradio_api/file={run.file.parent / secret}")[0] in (403, 404)
    assert status_of(f"{server.url}/gradio_api/file=/etc/passwd")[0] == 403
    assert status_of(f"{server.url}/monitoring/summary")[0] == 403


def test_it_prints_one_line_and_ends_when_asked(tmp_path: Path) -> None:
    with running_app(tmp_path) as server:
        assert server.line == f"Onetake is ready: {server.url}\n"
        status, out, err = server.stop()
    assert (status, out) == (0, "")
    assert "Traceback" not in err


def test_a_start_that_fails_says_why_in_one_line(server: Server, tmp_path: Path) -> None:
    taken = int(server.url.rpartition(":")[2])
    with pytest.raises(AssertionError, match="did not start") as refused, running_app(tmp_path, taken):
        pass
    assert "Traceback" not in str(refused.value)
