"""What programs are answered: takes and jobs as plain values, with their addresses."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from pipeline.errors import BadRequest, NotFound, RunFailed
from pipeline.library.marks import Marks
from pipeline.library.runs import Run
from pipeline.queue.job import Job, JobView
from pipeline.recipes.links import run_link
from pipeline.ui.clips import clip_of
from pipeline.ui.house import House
from pipeline.visitors import Parent, Viewer, new_key

MADE = tuple[gr.FileData | None, dict[str, Any]]
"""The file of a take, None where nobody waits for it, and what is told of it."""


@dataclass(frozen=True)
class Caller:
    """Whoever calls: the key by which runs and jobs are theirs, drawn where they had none, and how they reach us."""

    house: House
    key: str
    address: str

    @classmethod
    def of(cls, house: House, key: str | None, request: gr.Request) -> "Caller":
        """Return who sent a request; raise BadRequest for a key that is none."""
        if not isinstance(key, str | None):
            raise BadRequest("visitor", "The visitor's key is no text. Leave it out, and you are given one.")
        return cls(house, key or new_key(), address_of(request))

    @property
    def viewer(self) -> Viewer:
        """Who they are to the store and the jobs; raise BadRequest for a key that could be guessed."""
        return self.house.viewer(self.key)

    def run(self, run: Run, marks: Marks | None = None) -> dict[str, Any]:
        """Return a take without the paths of this machine, and no take that its viewer may not see."""
        viewer, store = self.viewer, self.house.store
        clip = clip_of(run, store, viewer, marks)
        public = {key: value for key, value in run.to_json().items() if key not in ("file", "poster", "parents")}
        told = {"plan": run.plan.to_recipe(), "parents": self._seen(run.parents), "mine": clip.mine}
        marked = {"starred": clip.marks.starred and clip.mine, "published": clip.marks.published}
        addresses = {"clip": f"{self.address}/{clip.url}", "link": f"{self.address}/{run_link(run.id)}"}
        return public | told | marked | addresses | {"visitor": self.key}

    def made(self, job: Job, wait: bool) -> tuple[Any, dict[str, Any]]:
        """Return the file of a job's take with all that is told of it, or at once how the job stands."""
        if not wait:
            return None, self.job(self.house.jobs.look(job.id, self.viewer))
        *_, view = job.watch()
        if view.run is None:
            raise RunFailed(view.error or "The take was stopped. Send the request again.")
        return self.file(view.run), self.run(view.run) | {"job": job.id}

    def file(self, run: Run) -> Any:
        """Return a take's file for clients: they fetch it from Gradio's own folder, for the run's is not served."""
        path = save_file_to_cache(run.file, get_upload_folder())
        return gr.FileData(path=path, orig_name=run.file.name).model_dump()

    def job(self, view: JobView) -> dict[str, Any]:
        """Return how a job stands."""
        ends = None if view.final else round(view.seconds, 1)
        stands = {"job": view.id, "state": view.state, "phase": view.phase, "place": view.place}
        goes = {"step": view.step, "steps": view.steps, "seconds_left": ends, "waits_for": view.waits_for}
        ended = {"run": view.run.id if view.run else None, "error": view.error, "again": view.again}
        return stands | goes | ended | {"contract": self.house.contract(view.plan), "visitor": self.key}

    def kin(self, run: Run) -> dict[str, Any]:
        """Return what a take was made from and what was made from it, as far as its viewer may see."""
        return {"parents": self._seen(run.parents), "children": self._seen(self.house.store.children(run.id))}

    def _seen(self, kin: tuple[Parent, ...]) -> list[dict[str, str]]:
        return [asdict(each) for each in kin if self._sees(each.run)]

    def _sees(self, run_id: str) -> bool:
        try:
            return bool(self.house.store.seen(run_id, self.viewer))
        except NotFound:
            return False


def address_of(request: gr.Request) -> str:
    """Return how a caller reaches the page, as the proxy in front of it says where there is one."""
    headers, url = dict(request.headers), urlsplit(str(request.url))
    host = headers.get("x-forwarded-host") or url.netloc
    scheme = headers.get("x-forwarded-proto") or url.scheme
    folder = url.path.partition("/gradio_api/")[0]
    return f"{scheme.partition(',')[0].strip()}://{host.partition(',')[0].strip()}{folder}"
