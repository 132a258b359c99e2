"""The stage: one place that shows the running take, then the clip, its notes and its recipe."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipeline.jobs import JobView
from pipeline.ui import details, screen
from pipeline.ui.clips import Clip

Updates = dict[Block, Any]


@dataclass(frozen=True)
class Stage:
    """The stage's parts; its methods return what to change on the page."""

    screen: gr.HTML
    running: gr.Row
    progress: gr.HTML
    stop: gr.Button
    result: gr.Row
    download: gr.HTML
    again: gr.Button
    go_on: gr.Button
    details: gr.HTML
    shown: gr.State

    @property
    def outputs(self) -> list[Block]:
        """Everything that a handler may change."""
        running = [self.running, self.progress, self.stop]
        return [self.screen, *running, self.result, self.download, self.go_on, self.details, self.shown]

    def follow(self, view: JobView) -> Updates:
        """Show a job that is under way."""
        return {
            self.screen: screen.preview(view),
            self.running: gr.Row(visible=True),
            self.progress: screen.progress(view),
            self.result: gr.Row(visible=False),
            self.details: "",
            self.shown: None,
        }

    def play(self, clip: Clip) -> Updates:
        """Show a finished clip with everything that can be done with it."""
        return {
            self.screen: screen.clip(clip),
            self.running: gr.Row(visible=False),
            self.result: gr.Row(visible=True),
            self.download: details.download(clip),
            self.go_on: gr.Button(visible=clip.run_id is not None),
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
            self.result: gr.Row(visible=False),
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
        with gr.Row(elem_id="result", visible=False) as result:
            download = gr.HTML(elem_id="download-slot")
            again = gr.Button("Use again", elem_id="again", elem_classes="action", min_width=110, scale=0)
            go_on = gr.Button("Go on from its end", elem_id="go-on", elem_classes="action", min_width=180, scale=0)
        under = gr.HTML(elem_id="details")
    return Stage(picture, running, progress, stop, result, download, again, go_on, under, gr.State(None))
