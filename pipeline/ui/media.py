"""The addresses of clips and posters. Only these files of a run are ever served, never its latents."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from pipeline.errors import NotFound
from pipeline.library.bundle import bundle
from pipeline.library.runs import Run
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.ui.about import ADDRESS

# A run never changes, and whoever has its key may keep it for a day.
KEPT = {"Cache-Control": "private, max-age=86400"}
# A publication can be taken back, which has to show at once.
ASKED_AGAIN = {"Cache-Control": "no-cache"}
MOST_IN_A_BUNDLE = 500
# Longer than the ids and keys of so many runs.
MOST_BYTES_ASKED = 100 * MOST_IN_A_BUNDLE
GONE = "There is no such file. Choose a clip from the library."


def serve_media(app: FastAPI, store: Store, settings: Settings) -> None:
    """Add the routes `media/<run>/<file>`, `examples/<file>` and `about/<file>`, which answer ranges; and a zip.

    A run that is not published is had by its key only.
    """

    @app.api_route("/media/{run_id}/{name}", methods=["GET", "HEAD"])
    def media(request: Request, run_id: str, name: str, key: str = "") -> Response:
        run = _opened(store, run_id, key)
        path = _found({path.name: path for path in (run.file, run.poster)}.get(name))
        return _file(request, path, KEPT if key else ASKED_AGAIN)

    @app.api_route("/examples/{name}", methods=["GET", "HEAD"])
    def example(request: Request, name: str) -> Response:
        shipped = {path.name: path for path in (settings.assets / "examples").glob("*.mp4")}
        return _file(request, _found(shipped.get(name)), KEPT)

    @app.api_route(f"/{ADDRESS}/{{name}}", methods=["GET", "HEAD"])
    def picture(request: Request, name: str) -> Response:
        shown = {path.name: path for path in (settings.assets / "tabletop").glob("*.webp")}
        return _file(request, _found(shown.get(name)), ASKED_AGAIN)

    @app.post("/takes.zip")
    async def takes(request: Request) -> Response:
        runs = _asked_for(store, await _body(request))
        headers = {"Content-Disposition": 'attachment; filename="onetake.zip"', "Cache-Control": "no-store"}
        return StreamingResponse(bundle(runs), media_type="application/zip", headers=headers)


def _opened(store: Store, run_id: str, key: str) -> Run:
    """Return a run by its key, or a published one; all others are not there."""
    try:
        run = store.get(run_id)
    except NotFound as error:
        raise HTTPException(404, GONE) from error
    if not store.opens(run_id, key):
        raise HTTPException(404, GONE)
    return run


def _file(request: Request, path: Path, headers: dict[str, str]) -> Response:
    answer = FileResponse(path, headers=headers, stat_result=path.stat())
    if request.headers.get("if-none-match") == answer.headers["etag"]:
        return Response(status_code=304, headers=headers | {"ETag": answer.headers["etag"]})
    return answer


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES_ASKED:
            raise HTTPException(413, f"Choose at most {MOST_IN_A_BUNDLE} takes at once.")
    return body


def _asked_for(store: Store, body: bytes) -> Iterable[Run]:
    """Return the runs of a form: `take=<run>.<key>` for each, without a key for what others publish."""
    asked = dict.fromkeys(parse_qs(body.decode("ascii", "replace")).get("take", []))
    if not 0 < len(asked) <= MOST_IN_A_BUNDLE:
        raise HTTPException(400, f"Choose from 1 to {MOST_IN_A_BUNDLE} takes.")
    return [_opened(store, *take.partition(".")[::2]) for take in asked]


def _found(path: Path | None) -> Path:
    if path is None or not path.is_file():
        raise HTTPException(404, GONE)
    return path
