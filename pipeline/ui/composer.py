"""What every tab is made of: a prompt, fields of the task's own, examples, the shared controls, and the button."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.model_spec import ModelSpec
from pipeline.request import TASKS
from pipeline.ui.controls import Controls, Input, Length, Values, build_controls, build_model
from pipeline.ui.offer import OFFER_CLICKS
from pipeline.ui.rows import Rows

FILES = (gr.File, gr.Image)
# Drafts: how many seeds to begin with, and at most.
SEEDS, MOST_SEEDS = 4, 8
SHOWN = "shown"


@dataclass(frozen=True)
class Example:
    """A chip that makes a take on one click: its words, and the files of its fields in assets/examples.

    One with a file for `SHOWN` makes nothing: that take is shown as it was made.
    """

    words: str
    chip: gr.Button
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Making:
    """The button, and under it: what went wrong with a model, and the contract or a model's offer.

    Beside it is another one for drafts, with the number of their seeds, and what would come of it. `refused` says to
    the contract what the button was refused last, and for what; `drafts_refused` the same to the promise of drafts.
    """

    make: gr.Button
    told: gr.HTML
    contract: gr.HTML
    refused: gr.Textbox
    drafts_refused: gr.Textbox
    drafts: gr.Button
    seeds: gr.Dropdown
    promise: gr.HTML


@dataclass(frozen=True)
class Composer:
    """The parts of one tab.

    `own` are the fields that only its task has, by their names in the request; `reshape` makes all values what the
    request wants, and `unshape` fields of a request what the tab shows. Of `needed`, one must be filled in
    (`all_needed`: each; or else the prompt where `words_suffice`), or `asks` is said; `lacks` says what else is to be
    given. `inner` are tabs inside the tab, where the task is one of several; `carries` is the field that a take on the
    stage is carried into.
    """

    task: str
    prompt: gr.Textbox
    examples: tuple[Example, ...]
    controls: Controls
    making: Making
    own: Mapping[str, Input] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    asks: str = ""
    lacks: Callable[[dict[str, Any]], str] = lambda _: ""
    reshape: Callable[[dict[str, Any]], dict[str, Any]] = dict
    unshape: Callable[[dict[str, Any]], dict[str, Any]] = dict
    all_needed: bool = False
    words_needed: bool = True
    words_suffice: bool = False
    carries: str = ""
    tab: str = ""
    inner: gr.Tabs | None = None

    @property
    def make(self) -> gr.Button:
        """Return the button."""
        return self.making.make

    @property
    def told(self) -> gr.HTML:
        """Return the line about a model that cannot be used."""
        return self.making.told

    @property
    def contract(self) -> gr.HTML:
        """Return the line of what will come out."""
        return self.making.contract

    @property
    def refused(self) -> gr.Textbox:
        """Return what the button was refused last, as a word that nobody sees."""
        return self.making.refused

    @property
    def by_row(self) -> list[Block]:
        """Return what changes where another model is chosen."""
        return [*self.controls.by_row, self.told]

    def follow(self, spec: ModelSpec, message: str = "") -> dict[Block, Any]:
        """Choose a model, and say why where nobody did."""
        return {**self.controls.follow(spec), self.told: gr.HTML(message, visible=bool(message))}

    @property
    def inputs(self) -> list[Input]:
        """Return everything that decides a take."""
        return [self.prompt, *self.own.values(), *self.controls.inputs]

    @property
    def filled_in(self) -> list[Input]:
        """Return the fields that begin empty: the prompt, and the task's own files and words."""
        return [self.prompt, *(p for p in self.own.values() if isinstance(p, gr.File | gr.Image | gr.Textbox))]

    def emptied(self) -> dict[Block, Any]:
        """Return the fields that begin empty as they began."""
        return {part: "" if isinstance(part, gr.Textbox) else None for part in self.filled_in}

    def choose(self, tabs: gr.Tabs) -> dict[Block, Any]:
        """Return what brings this composer to the front of the page's tabs."""
        inside: dict[Block, Any] = {self.inner: gr.Tabs(selected=self.task)} if self.inner else {}
        return {tabs: gr.Tabs(selected=self.tab or self.task), **inside}

    def words(self, values: Values) -> str:
        """Return the prompt; in a tab that was never opened it is not even empty."""
        return values[self.prompt] or ""

    def asked(self, values: Values) -> list[Any]:
        """Return what stands in everything that decides a take, as it was put in."""
        return [values[part] for part in self.inputs]

    def read(self, values: Values, prompt: str) -> dict[str, Any]:
        """Return the fields of a request; a field of the task's own that is empty is left out."""
        return self.reshape(
            {"task": self.task, "prompt": prompt, **self.controls.read(values), **self.own_values(values)}
        )

    def own_values(self, values: Values) -> dict[str, Any]:
        """Return what stands in the fields that only its task has; one that is empty is left out."""
        return {name: values[part] for name, part in self.own.items() if values[part] not in (None, "")}

    def fill(self, fields: Mapping[str, Any], spec: ModelSpec) -> dict[Block, Any]:
        """Return the whole tab as fields of a request say; what these leave out is as it began."""
        return {
            self.told: gr.HTML("", visible=False),
            **self.controls.fill(self.unshape(dict(fields)), spec),
            **self.shows(fields),
        }

    def shows(self, fields: Mapping[str, Any]) -> dict[Block, Any]:
        """Return the prompt and the task's own fields as fields of a request say."""
        own = self.unshape(dict(fields))
        shown: dict[Block, Any] = {part: own.get(name, _begun(part)) for name, part in self.own.items()}
        return {self.prompt: fields.get("prompt", ""), **shown}

    def lost(self, fields: Mapping[str, Any], shown: Mapping[Block, Any]) -> tuple[str, ...]:
        """Return the names of fields that the tab, filled with them, cannot show."""
        values: dict[Component, Any] = {part: value_of(shown[part]) for part in self.inputs}
        asked = self.read(values, values[self.prompt])
        again = {name: value for name, value in asked.items() if value not in (None, "", [])}
        kind = TASKS[self.task].model_fields
        usual = {name for name, value in fields.items() if name in kind and kind[name].default == value}
        # A length is shown one way or another.
        names = [name for name in fields if name not in {*usual, "seconds", "frames"}]
        return tuple(name for name in names if not _alike(fields[name], again.get(name)))

    def missing(self, values: Values) -> str:
        """Return what to ask for first, or nothing when a plan can be made."""
        filled = [bool(values[self.own[name]]) for name in self.needed]
        filled += [bool(self.words(values).strip())] if self.words_suffice else []
        enough = all(filled) if self.all_needed else any(filled) or not filled
        return self.lacks(self.own_values(values)) if enough else self.asks

    def offers(self, another: bool) -> dict[Block, Any]:
        """Return the button, which says whether what it makes comes after something else."""
        return {self.make: gr.Button("Make another" if another else "Make video")}


def value_of(update: Any) -> Any:
    """Return the value that an update sets."""
    # In a handler a component is no more than what it was called with.
    return update.constructor_args.get("value") if isinstance(update, Component) else update


def _begun(part: Input) -> Any:
    return None if isinstance(part, FILES) else "" if part.value is None else part.value


def _alike(value: Any, again: Any) -> bool:
    return len(value) == len(again or ()) if isinstance(value, list | tuple) else bool(value == again)


def build_prompt(task: str, label: str, placeholder: str, rows: Rows) -> tuple[gr.Textbox, gr.Dropdown]:
    """Build the field for the sentence, and on the line of its label the choice of a model."""
    with gr.Column(elem_classes="prompt-and-model"):
        prompt = gr.Textbox(
            label=label, placeholder=placeholder, lines=2, max_lines=5, elem_id=f"{task}-prompt",
            elem_classes="the-prompt",
        )  # fmt: skip
        return prompt, build_model(task, rows)


def build_rest(
    task: str, rows: Rows, model: gr.Dropdown, follows: str | None = None, seconds: Length = "own"
) -> tuple[Controls, Making]:
    """Build what stands under every task's own fields: the shared controls, the button and the contract."""
    controls = build_controls(task, rows, model, follows, seconds)
    with gr.Row(elem_classes="the-buttons"):
        make = gr.Button("Make video", variant="primary", elem_id=f"{task}-make", elem_classes="the-make")
        drafts, seeds = _drafts(task)
    told = gr.HTML(visible=False, elem_id=f"{task}-told", elem_classes="the-contract")
    contract = gr.HTML(elem_id=f"{task}-contract", elem_classes="the-contract", js_on_load=OFFER_CLICKS)
    refused, drafts_refused = (gr.Textbox("", visible="hidden") for _ in range(2))
    promise = gr.HTML(elem_id=f"{task}-drafts-promise", elem_classes="the-contract")
    return controls, Making(make, told, contract, refused, drafts_refused, drafts, seeds, promise)


def _drafts(task: str) -> tuple[gr.Button, gr.Dropdown]:
    """Build the button for drafts and the choice of how many seeds each prompt gets."""
    drafts = gr.Button("Drafts", elem_id=f"{task}-drafts", elem_classes="the-drafts", min_width=80, scale=0)
    choices = [(f"{count} seed{'' if count == 1 else 's'}", count) for count in range(1, MOST_SEEDS + 1)]
    seeds = gr.Dropdown(
        choices, value=SEEDS, label="Seeds of each prompt for drafts", show_label=False, filterable=False,
        elem_id=f"{task}-seeds", elem_classes="the-seeds", min_width=94, scale=0,
    )  # fmt: skip
    return drafts, seeds


def build_examples(*examples: tuple[str, Mapping[str, str]]) -> tuple[Example, ...]:
    """Build a chip for each pair of words and files."""
    with gr.Row(elem_classes="the-examples"):
        gr.HTML('<span class="examples-title">Or play an example</span>')
        return tuple(
            Example(words, gr.Button(words, size="sm", elem_classes="chip"), files) for words, files in examples
        )
