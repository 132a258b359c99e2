"""The named endpoints for programs: the same request, plan and jobs as the buttons."""

from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.events import api
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from pipeline.errors import OnetakeError, RunFailed
from pipeline.store import Run
from pipeline.ui.desk import House


def add_endpoints(house: House) -> None:
    """Add an endpoint for each task."""
    _add_text(house)
    _add_animate(house)


def _add_text(house: House) -> None:
    """Add `/text`; it answers when the take is done, with the file and the run as JSON."""

    def text(
        prompt: str,
        model: str | None = None,
        shape: str | None = None,
        seconds: float | None = None,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        deliver: str | None = None,
        seed: int | None = None,
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """Make a video from a sentence.

        Args:
            prompt: What the video shows, at most 2,000 characters.
            model: A model by name; the default one otherwise.
            shape: landscape, square or portrait. Not together with width and height.
            seconds: How long it plays. Not together with frames.
            frames: How many frames; one gives a picture.
            width: Pixels, together with height.
            height: Pixels, together with width.
            steps: Denoising steps.
            guidance_scale: How closely to follow the prompt; 1 turns guidance off.
            deliver: 480p, 720p or 1080p: enlarge the file to so many lines.
            seed: From 0 to 18446744073709551615; a new one is drawn otherwise, and told.

        """
        asked = {
            "prompt": prompt, "model": model, "shape": shape, "seconds": seconds,
            "frames": frames, "width": width, "height": height, "steps": steps,
            "guidance_scale": guidance_scale, "deliver": deliver, "seed": seed,
        }  # fmt: skip
        return answer(house, asked)

    api(text, api_name="text", concurrency_limit=None)


def _add_animate(house: House) -> None:
    """Add `/animate`; pictures are files of the client's."""

    def animate(
        prompt: str,
        image: gr.FileData | None = None,
        last: gr.FileData | None = None,
        strength: float = 1.0,
        fit: str = "crop",
        model: str | None = None,
        shape: str | None = None,
        seconds: float | None = None,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        deliver: str | None = None,
        seed: int | None = None,
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """Make a video from a first frame, a last one, or both.

        Args:
            prompt: What the video shows, at most 2,000 characters.
            image: A picture for the first frame.
            last: A picture for the last frame.
            strength: How closely the pictures are kept, over 0 and at most 1.
            fit: crop or pad, for a picture of another shape.
            model: A model by name; the default one otherwise.
            shape: landscape, square or portrait; the nearest to the picture's otherwise.
            seconds: How long it plays. Not together with frames.
            frames: How many frames.
            width: Pixels, together with height.
            height: Pixels, together with width.
            steps: Denoising steps.
            guidance_scale: How closely to follow the prompt; 1 turns guidance off.
            deliver: 480p, 720p or 1080p: enlarge the file to so many lines.
            seed: From 0 to 18446744073709551615; a new one is drawn otherwise, and told.

        """
        asked = {
            "task": "animate", "prompt": prompt, "image": _path(image), "last": _path(last), "strength": strength,
            "fit": fit, "model": model, "shape": shape, "seconds": seconds, "frames": frames, "width": width,
            "height": height, "steps": steps, "guidance_scale": guidance_scale, "deliver": deliver, "seed": seed,
        }  # fmt: skip
        return answer(house, asked)

    api(animate, api_name="animate", concurrency_limit=None)


def _path(file: Any) -> str | None:
    return file["path"] if isinstance(file, dict) else getattr(file, "path", None)


async def refuse_unknown_fields(request: Request, error: Exception) -> JSONResponse:
    """Answer a call with a field that its endpoint lacks; Gradio raises a TypeError for it."""
    if "/call/" not in request.url.path:
        raise error
    what, _, _ = str(error).partition(". ")
    return JSONResponse({"error": f"{what}. The fields are listed at /gradio_api/openapi.json."}, 422)


def answer(house: House, asked: dict[str, Any]) -> tuple[gr.FileData, dict[str, Any]]:
    """Make what was asked for and return the file with its run; raise gr.Error in plain words."""
    try:
        run = _finished(house, asked)
    except OnetakeError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return _public_copy(run), _record(run)


def _finished(house: House, asked: dict[str, Any]) -> Run:
    *_, view = house.submit(asked).watch()
    if view.run is None:
        raise RunFailed(view.error or "The take was stopped. Send the request again.")
    return view.run


def _public_copy(run: Run) -> Any:
    # Clients fetch files from Gradio's own folder; the run's folder is not served.
    path = save_file_to_cache(run.file, get_upload_folder())
    return gr.FileData(path=path, orig_name=run.file.name).model_dump()


def _record(run: Run) -> dict[str, Any]:
    """Return the run without the paths of this machine."""
    public = {key: value for key, value in run.to_json().items() if key not in ("file", "poster")}
    return public | {"plan": run.plan.to_recipe()}
