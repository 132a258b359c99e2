"""The named endpoints as tools of an MCP server, for agents: what they name is never opened, what they get is JSON."""

import json
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync
from fastapi import FastAPI
from gradio.mcp import GradioMCPServer
from gradio_client.utils import is_file_obj_with_meta, traverse  # type: ignore[import-untyped]
from mcp.types import TextContent

PATH = "/gradio_api/mcp"
NO_FILES = (
    "Tools take run: and the id of a take, or a link of this app, and no files. Post yours to /gradio_api/upload "
    "first, and give /gradio_api/file= and the path that you are told."
)


class Tools(GradioMCPServer):
    """Gradio's own server, over the same endpoints and their queue."""

    def serve(self, app: FastAPI, demo: gr.Blocks) -> None:
        """Mount the server on a page that was launched with its `lifespan`."""
        # Gradio would do all of this itself, and print three lines.
        self._local_url = demo.local_url
        self.launch_mcp_on_sse(app, PATH, demo.root_path)

    def convert_strings_to_filedata(self, value: Any, filedata_positions: Any) -> Any:  # noqa: ARG002, as Gradio calls it
        """Return what an agent gives as it is; refuse files.

        Gradio calls its endpoints through a client of its own in this process, which uploads whatever file a value
        names: those of this machine, too, and those behind any address.
        """
        traverse(value, _refuse, is_file_obj_with_meta)
        return value

    async def _execute_tool_without_progress(self, job: Any) -> list[Any]:
        """Return what an endpoint answers, each value on its own."""
        result = await run_sync(job.result)
        return list(result) if isinstance(result, tuple | list) else [result]

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """Return values as JSON and files as their addresses; there is none where nobody waits."""
        told: list[Any] = []
        for each in data:
            if is_file_obj_with_meta(each):
                told += super().postprocess_output_data([each], root_url)
            elif each is not None:
                told.append(TextContent(type="text", text=json.dumps(each)))
        return told


def _refuse(_: Any) -> None:
    raise ValueError(NO_FILES)
