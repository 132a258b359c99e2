"""The addresses of clips and posters. Only these files of a run are ever served, never its latents."""

from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from pipeline.errors import NotFound
from pipeline.settings import Settings
from pipeline.store import Store

# A run never changes, but it can be deleted: let browsers keep it for a day.
HEADERS = {"Cache-Control": "private, max-age=86400"}


def serve_media(app: FastAPI, store: Store, settings: Settings) -> None:
    """Add the routes `media/<run>/<file>` and `examples/<file>`; both answer ranges, so videos seek."""

    @app.api_route("/media/{run_id}/{name}", methods=["GET", "HEAD"])
    def media(run_id: str, name: str) -> FileResponse:
        return FileResponse(_public_file(store, run_id, name), headers=HEADERS)

    @app.api_route("/examples/{name}", methods=["GET", "HEAD"])
    def example(name: str) -> FileResponse:
        shipped = {path.name: path for path in (settings.assets / "examples").glob("*.mp4")}
        return FileResponse(_found(shipped.get(name)), headers=HEADERS)


def _public_file(store: Store, run_id: str, name: str) -> Path:
    try:
        run = store.get(run_id)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    return _found({path.name: path for path in (run.file, run.poster)}.get(name))


def _found(path: Path | None) -> Path:
    if path is None or not path.is_file():
        raise HTTPException(404, "There is no such file. Choose a clip from the library.")
    return path
