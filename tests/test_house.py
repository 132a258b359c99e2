"""The rules of the house, as tests: who may import whom, how long things may be, where things lie."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.settings import ROOT

# Modules may import from lower levels, and from their own level unless it says otherwise.
LEVELS = (
    ("errors", "settings", "visitors"),
    (
        *("events", "frames", "given", "halfway", "latents", "memory", "model_spec", "models", "request", "fields"),
        *("asked", "adapters", "peak", "pulled", "rows"),
    ),
    ("splice", "seams", "hub"),
    ("planning",),
    ("plan",),
    ("families", "quota", "history", "library", "variations"),
    ("backends", "countdown", "provenance", "safety", "store", "video"),
    ("generate",),
    ("queue",),
    ("jobs", "fetches", "recipes"),
    ("cli", "sheet"),
    ("ui", "__main__", "measures", "publish"),
    ("app",),
)
WITHOUT_TORCH = (
    *(
        "errors",
        "settings",
        "visitors",
        "events",
        "frames",
        "latents",
        "halfway",
        "fields",
        "models",
        "request",
        "asked",
    ),
    *("given.footage", "given.media", "given.sound", "memory", "model_spec", "adapters", "pulled", "splice", "seams"),
    *("hub.loras", "hub.survey", "hub.front_matter", "fetches"),
    *("planning.abilities", "planning.delivery", "planning.estimate", "planning.layouts", "planning.pins"),
    *(
        "planning.chunks",
        "planning.extending",
        "planning.storyboard",
        "planning.given_clip",
        "planning.lengths",
        "planning.segments",
    ),
    *("planning.speed", "planning.strengths", "planning.words", "plan", "variations"),
    *("quota", "history", "countdown", "library.storage", "store", "queue.job", "queue.ledger", "queue.turns", "jobs"),
    *("sheet", "recipes.links", "recipes.recipe", "recipes.recovered", "recipes.boards", "recipes.cards"),
    *("cli.commands", "cli.model_commands", "cli.draft_commands", "cli.run_commands", "__main__"),
)
FOREIGN_TO_MOST = {"gradio": ("pipeline/ui/", "app.py"), "torch": ("pipeline/families/", "pipeline/tabletop/")}
MOST_FILE_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 300, 50, 6
MOST_CHECKOUT_MB = 50
# Gradio reads an endpoint's fields from its parameters.
ENDPOINTS = "pipeline/ui/api.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked() -> list[Path]:
    """Every file of the checkout that git keeps or would keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = [path for path in tracked() if path.suffix == ".py"]
# What people write; weights, records and pictures are made.
WRITTEN = [
    path for path in tracked() if path.suffix in (".py", ".css", ".js", ".md", ".toml") or path.name == "Makefile"
]
OURS = [path for path in SOURCES if name_of(path).startswith(("pipeline/", "app.py"))]
each_source = pytest.mark.parametrize("path", SOURCES, ids=name_of)
each_of_ours = pytest.mark.parametrize("path", OURS, ids=name_of)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module: str) -> str | None:
    """The part of the house that a module belongs to, such as `ui`; None for a foreign one."""
    names = module.split(".")
    return names[1] if names[0] == "pipeline" and len(names) > 1 else None


def level_of(part: str) -> int:
    return next(level for level, parts in enumerate(LEVELS) if part in parts)


@each_of_ours
def test_imports_run_down_only(path: Path) -> None:
    own = "app" if path.name == "app.py" else path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
    used = {part for module in imports(path) if (part := part_of(module))} - {own}
    if own == "tabletop":
        assert used <= {"errors"}
    elif own != "__init__":
        assert "tabletop" not in used
        assert not {part for part in used if level_of(part) >= level_of(own) > 1}


@each_of_ours
@pytest.mark.parametrize("library", FOREIGN_TO_MOST)
def test_heavy_libraries_stay_where_they_belong(path: Path, library: str) -> None:
    if not name_of(path).startswith(FOREIGN_TO_MOST[library]):
        assert library not in {module.split(".")[0] for module in imports(path)}


@each_of_ours
def test_only_settings_reads_the_environment(path: Path) -> None:
    if name_of(path) != "pipeline/settings.py":
        assert not re.search(r"\b(environ|getenv|putenv)\b", path.read_text("utf-8"))


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_light_modules_load_without_torch_and_gradio(part: str) -> None:
    check = f"import sys, pipeline.{part}; sys.exit(bool({{'torch', 'diffusers', 'gradio'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MOST_FILE_LINES


@each_source
def test_functions_are_short_and_take_few_parameters(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, Function):
            where = f"{name_of(path)}:{node.lineno} {node.name}"
            assert (node.end_lineno or 0) - node.lineno < MOST_FUNCTION_LINES, f"{where} is too long"
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            assert count <= MOST_PARAMETERS or where.startswith(ENDPOINTS), f"{where} takes {count} parameters"


@each_source
def test_no_drawers_for_odds_and_ends(path: Path) -> None:
    assert path.stem not in ("utils", "util", "common", "helpers", "misc")
    if path.name == "__init__.py":
        assert path.read_text("utf-8") == ""


@each_source
def test_nothing_of_ours_is_mocked(path: Path) -> None:
    assert not {module for module in imports(path) if module.startswith(("unittest.mock", "mock"))}
    if path.name != Path(__file__).name:
        assert "monkeypatch.setattr" not in path.read_text("utf-8")


def test_the_checkout_is_small() -> None:
    assert sum(path.stat().st_size for path in tracked()) < MOST_CHECKOUT_MB * 10**6


def tree_in_the_readme() -> Iterator[tuple[str, str]]:
    """Each path of the tree in README.md with its description: two spaces a level, folders end in a slash."""
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    tree = next(block for block in blocks if re.search(r"^app\.py\s", block, re.MULTILINE))
    folders: list[str] = []
    for line in tree.splitlines():
        name, _, description = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [name]
        yield "".join(folders), description.strip()


def test_the_tree_in_the_readme_is_the_tree_on_the_disk() -> None:
    tree = dict(tree_in_the_readme())
    assert all(tree.values()), "a line of the tree says nothing"
    on_disk = {name_of(path) for path in tracked() if path.name != "__init__.py"}
    folders = {f"{parent.as_posix()}/" for name in on_disk for parent in Path(name).parents if parent != Path()}
    assert set(tree) - on_disk - folders == set(), "the tree names what is not there"
    # A folder that lists nothing stands for all that lies in it; this file itself and those with a dot may be left out.
    closed = tuple(name for name in tree if name.endswith("/") and sum(other.startswith(name) for other in tree) == 1)
    assert {name for name in on_disk - set(tree) if not name.startswith((".", "README.md", *closed))} == set(), (
        "it leaves things out"
    )
