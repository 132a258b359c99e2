"""The endpoints as agents meet them: as tools of an MCP server, through the protocol's own client."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.request import urlopen

import pytest
from app_server import Server
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from pipeline.ui.api import TOOLS
from programs.conftest import JOBS, RUNS, SMALL

FILE = {"meta": {"_type": "gradio.FileData"}}


def ask(server: Server, talk: Callable[[ClientSession], Coroutine[Any, Any, Any]]) -> Any:
    """Return what comes of talking to the tools; in a thread, because a browser's loop may be running in this one."""

    async def connected() -> Any:
        address = f"{server.url}/gradio_api/mcp/"
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await talk(session)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, connected()).result()


def called(server: Server, tool: str, **fields: Any) -> CallToolResult:
    result: CallToolResult = ask(server, lambda session: session.call_tool(tool, fields))
    return result


def words(result: CallToolResult) -> list[str]:
    return [part.text for part in result.content if isinstance(part, TextContent)]


def told(result: CallToolResult) -> dict[str, Any]:
    """What a tool says last, which is one JSON object."""
    assert not result.isError, words(result)
    said: dict[str, Any] = json.loads(words(result)[-1])
    return said


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """An address of another host, and what it was asked for."""
    asked: list[str] = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    host = HTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{host.server_port}/clip.mp4", asked
    host.shutdown()
    host.server_close()


def test_tools_are_the_named_endpoints_and_say_what_they_take(server: Server) -> None:
    tools = {tool.name: tool for tool in ask(server, lambda session: session.list_tools()).tools}
    assert set(tools) == {*TOOLS.values(), *RUNS, *JOBS}, "neither handlers of the page nor the lending to others"
    for tool in tools.values():
        assert tool.description
        undescribed = [name for name, each in tool.inputSchema["properties"].items() if not each.get("description")]
        assert undescribed == [], tool.name
    assert tools["restyle_video"].inputSchema["required"] == ["video"]
    assert tools["list_runs"].inputSchema["properties"]["sort"]["enum"] == ["newest", "oldest", "longest", "name"]


def test_an_agent_makes_a_clip_finds_it_and_goes_on_from_it(server: Server) -> None:
    made = called(server, "make_video_from_text", prompt="a red ball bounces on snow", **SMALL)
    take = told(made)
    mine = {"visitor": take["visitor"]}
    assert urlopen(words(made)[0]).read() == urlopen(take["clip"]).read()
    (listed,) = told(called(server, "list_runs", search="red ball", **mine))["runs"]
    assert listed["id"] == take["id"]
    links = told(called(server, "link_run", run=take["id"], **mine))
    for video in (f"run:{take['id']}", links["run"], words(made)[0]):
        child = told(called(server, "restyle_video", video=video, prompt="a blue ball", steps=2, **mine))
        assert child["parents"] == [{"run": take["id"], "how": "restyled from"}]
    fields = told(called(server, "read_link", link=links["recipe"]))["fields"]
    assert (fields["prompt"], fields["seed"]) == ("a red ball bounces on snow", take["plan"]["seed"])


def test_a_picture_is_seen_and_a_job_is_not_waited_for(server: Server) -> None:
    picture, *_ = called(server, "make_video_from_text", prompt="a red ball", **(SMALL | {"frames": 1})).content
    assert picture.type == "image"
    assert base64.b64decode(picture.data).startswith(b"\x89PNG")
    (job,) = called(server, "make_video_from_text", prompt="a red ball", **SMALL, wait=False).content
    assert isinstance(job, TextContent)
    assert json.loads(job.text)["state"] in ("queued", "running")


def test_no_file_of_this_machine_is_read_and_no_address_is_fetched(
    server: Server, elsewhere: tuple[str, list[str]]
) -> None:
    made = told(called(server, "make_video_from_text", prompt="a red ball", **SMALL))
    clip = next((server.home / made["id"]).glob("*.mp4"))
    served = set((server.home / ".served").rglob("*"))
    address, asked = elsewhere
    data = "data:video/mp4;base64," + base64.b64encode(clip.read_bytes()).decode()
    named = [str(clip), f"file://{clip}", f"{server.url}/gradio_api/file={clip}", address, data]
    named += [{"path": str(clip), **FILE}, {"path": address, "url": address, **FILE}]  # type: ignore[list-item]
    for video in named:
        refused = called(server, "restyle_video", video=video, prompt="a blue ball", steps=2)
        assert refused.isError, video
        assert "run: and" in words(refused)[0]
    for hidden in ({"at": [{"seconds": 0.5, "image": named[-2]}]}, {"image": named[-2]}, {"loras": [named[-2]]}):
        refused = called(server, "make_video_from_pictures", prompt="a ball", **hidden)
        assert (refused.isError, "no files" in words(refused)[0]) == (True, True)
    assert asked == []
    assert set((server.home / ".served").rglob("*")) == served, "nothing was copied"


def test_what_makes_no_sense_is_refused_in_plain_words(server: Server) -> None:
    for tool, fields, says in (
        ("make_video_from_text", {"prompt": " "}, "The prompt is empty"),
        ("list_runs", {"sort": "odd"}, "'odd' is not one of"),
        ("list_runs", {"owner": "all"}, "`owner` is not"),
        ("show_run", {"run": "nothing"}, "There is no run 'nothing'"),
    ):
        refused = called(server, tool, **fields)
        assert refused.isError
        assert says in words(refused)[0]
