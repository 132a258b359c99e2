"""The stage: one place that shows the running take, then the clip, its notes and its recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipeline.queue.job import JobView
from pipeline.ui import details, library, screen
from pipeline.ui.clips import Clip
from pipeline.ui.family import family_tree
from pipeline.ui.parts import parts

Updates = dict[Block, Any]
# Where a clip can be carried, by task.
ONWARD = {
    "extend": "Go on from its end",
    "animate": "Animate",
    "restyle": "Restyle",
    "loop": "Loop",
    "transition": "Transition",
}
# Tasks that begin with a clip, not with a picture.
MOVING = ("extend", "restyle", "loop")


@dataclass(frozen=True)
class Stage:
    """The stage's parts; its methods return what to change on the page."""

    screen: gr.HTML
    running: gr.Row
    progress: gr.HTML
    stop: gr.Button
    parts: gr.HTML
    result: gr.Row
    download: gr.HTML
    again: gr.Button
    carries: Mapping[str, gr.Button]
    links: gr.HTML
    keeping: gr.HTML
    family: gr.HTML
    details: gr.HTML
    shown: gr.State

    @property
    def outputs(self) -> list[Block]:
        """Everything that a handler may change."""
        running = [self.running, self.progress, self.stop, self.parts]
        under = [self.links, self.keeping, self.family, self.details]
        result = [self.result, self.download, self.again, *self.carries.values()]
        return [self.screen, *running, *result, *under, self.shown]

    def follow(self, view: JobView) -> Updates:
        """Show a job that is under way."""
        return {
            self.screen: screen.preview(view),
            self.running: gr.Row(visible=True),
            self.progress: screen.progress(view),
            self.parts: parts(view),
            self.result: gr.Row(visible=False),
            self.links: "",
            self.keeping: "",
            self.family: "",
            self.details: "",
            self.shown: None,
        }

    def goes_on(self, view: JobView) -> Updates:
        """Show how long a job takes that is on the stage already."""
        return {self.progress: screen.progress(view)}

    def lay_out(self, sheet: str, progress: str) -> Updates:
        """Show a sheet of drafts, and how it goes on as long as it does."""
        running: Updates = {self.running: gr.Row(visible=bool(progress)), self.progress: progress}
        return {**self.clear(), self.screen: sheet, **running}

    def play(self, clip: Clip) -> Updates:
        """Show a finished clip with everything that can be done with it."""
        return {
            self.screen: screen.clip(clip),
            self.running: gr.Row(visible=False),
            self.parts: "",
            self.result: gr.Row(visible=True),
            self.download: details.download(clip),
            self.again: gr.Button("Make your own" if clip.run_id and not clip.mine else "Use again"),
            **{
                button: gr.Button(visible=clip.run_id is not None and not (clip.is_picture and task in MOVING))
                for task, button in self.carries.items()
            },
            self.links: details.links(clip),
            self.keeping: library.keeping(clip),
            self.family: family_tree(clip),
            self.details: details.notes_and_recipe(clip),
            self.shown: clip,
        }

    def say(self, message: str) -> Updates:
        """Show what went wrong in the place of the picture."""
        return {**self.clear(), self.screen: screen.trouble(message)}

    def clear(self) -> Updates:
        """Show the empty stage."""
        return {
            self.screen: screen.EMPTY,
            self.running: gr.Row(visible=False),
            self.parts: "",
            self.result: gr.Row(visible=False),
            self.links: "",
            self.keeping: "",
            self.family: "",
            self.details: "",
            self.shown: None,
        }


def build_stage() -> Stage:
    """Build the stage; what stands under the picture changes with the state of the take."""
    with gr.Column(elem_id="stage"):
        picture = gr.HTML(screen.EMPTY, elem_id="screen")
        with gr.Row(elem_id="running", visible=False) as running:
            progress = gr.HTML(elem_id="progress")
            stop = gr.Button("Stop", elem_id="stop", variant="stop", min_width=90, scale=0)
        done = gr.HTML(elem_id="parts")
        with gr.Row(elem_id="result", visible=False) as result:
            download = gr.HTML(elem_id="download-slot")
            again = _action("Use again", "again", 130)
            carries = {task: _action(word, f"carry-{task}", max(10 * len(word), 50)) for task, word in ONWARD.items()}
        links, keeping = gr.HTML(elem_id="links"), gr.HTML(elem_id="keeping")
        under = (links, keeping, gr.HTML(elem_id="family"), gr.HTML(elem_id="details"))
    return Stage(picture, running, progress, stop, done, result, download, again, carries, *under, gr.State(None))


def _action(label: str, elem_id: str, min_width: int) -> gr.Button:
    return gr.Button(label, elem_id=elem_id, elem_classes="action", min_width=min_width, scale=0)
