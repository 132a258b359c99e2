"""One running app for all tests of what programs and agents do with it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from app_server import PATIENCE_S, Server, running_app
from gradio_client import Client  # type: ignore[import-untyped]

SMALL = {"width": 64, "height": 64, "frames": 9, "steps": 2}
RUNS = (
    *("list_runs", "show_run", "run_file", "link_run", "read_link"),
    *("star_run", "publish_run", "delete_runs", "restore_runs", "finish_run", "finish_runs"),
)
JOBS = ("list_jobs", "show_job", "cancel_job", "retry_job", "make_drafts")


class Program:
    """Somebody's program, with their key."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self.key = key

    def __call__(self, endpoint: str, *values: Any, **fields: Any) -> Any:
        return self._client.predict(*values, **fields, visitor=self.key, api_name=f"/{endpoint}")

    def ended(self, job: str) -> dict[str, Any]:
        """How a job stands once it has ended."""
        while (stands := self("show_job", job))["seconds_left"] is not None:
            time.sleep(0.1)
        told: dict[str, Any] = stands
        return told


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_app(tmp_path_factory.mktemp("programs"), ONETAKE_MAX_QUEUE="8") as running:
        yield running


@pytest.fixture(scope="package")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    patience = {"timeout": PATIENCE_S}
    return Client(server.url, verbose=False, httpx_kwargs=patience, download_files=tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="package")
def made(client: Client) -> dict[str, Any]:
    """A take that somebody made without a key, and was given one with."""
    _, take = client.predict("a red ball bounces on snow", seed=7, **SMALL, api_name="/text")
    told: dict[str, Any] = take
    return told
