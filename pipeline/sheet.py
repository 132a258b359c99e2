"""A sheet: drafts side by side, of which some are finished. Nothing of it is kept but its jobs and runs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.jobs import Jobs
from pipeline.library.index import visible
from pipeline.library.runs import Run
from pipeline.plan import Plan
from pipeline.queue.job import JobView
from pipeline.store import Store
from pipeline.visitors import FINISHED, Cell, Viewer

# A sheet's runs, and those that went on with their steps, wherever that was asked for.
OF_A_SHEET = """
id IN (WITH RECURSIVE chain(id) AS (
  SELECT id FROM runs WHERE sheet = ?
  UNION SELECT parents.id FROM parents JOIN chain ON parents.parent = chain.id WHERE how = ?)
SELECT id FROM chain)"""
CAME_TO_A_RUN = ("done", "draft", "stopped")


@dataclass(frozen=True)
class Print:
    """One place of a sheet: the run that its take has come to, and the job that goes on with it, or did not succeed."""

    cell: Cell
    plan: Plan
    run: Run | None = None
    job: JobView | None = None

    @property
    def under_way(self) -> bool:
        """True where a job begins the take, or finishes it."""
        return self.job is not None and not self.job.final

    @property
    def finished(self) -> bool:
        """True where the take has all of its steps."""
        return self.run is not None and self.run.state == "done"

    @property
    def waits(self) -> bool:
        """True for a draft that could be finished."""
        return self.run is not None and not (self.finished or self.under_way)


@dataclass(frozen=True)
class Sheet:
    """The places of a sheet in their order."""

    id: str
    prints: tuple[Print, ...]

    @cached_property
    def under_way(self) -> tuple[JobView, ...]:
        """The jobs that have not ended, in the order in which they begin."""
        jobs = [each.job for each in self.prints if each.job and not each.job.final]
        return tuple(sorted(jobs, key=lambda view: view.place))

    @property
    def seconds_left(self) -> float:
        """How long its jobs go on, as far as can be foreseen."""
        return max((view.seconds for view in self.under_way), default=0.0)


def sheet_of(sheet: str, store: Store, jobs: Jobs, viewer: Viewer) -> Sheet:
    """Return a viewer's sheet as it stands now; one of which nothing is there is empty."""
    known, foreseen = jobs.known(viewer), {view.id: view for view in jobs.under_way(viewer)}
    where, values = visible(viewer, "mine")
    rows = store.index.rows(f"{where} AND {OF_A_SHEET}", (*values, sheet, FINISHED), "created")
    views = (foreseen.get(view.id, view) for view in known if not view.dismissed)
    return Sheet(sheet, _lay_out(sheet, [row.run for row in rows], views))


def _lay_out(sheet: str, runs: Iterable[Run], views: Iterable[JobView]) -> tuple[Print, ...]:
    """Return the places of a sheet from its runs, oldest first, and all jobs of who looks at it, as they came."""
    prints, cells = dict[int, Print](), dict[str, Cell]()
    for run in runs:
        begun = [cells[parent.run] for parent in run.parents if parent.how == FINISHED and parent.run in cells]
        if cell := next(iter(begun), run.cell):
            cells[run.id] = cell
            before = prints.get(cell.place)
            prints[cell.place] = before if before and before.finished else Print(cell, run.plan, run)
    for view in views:
        resumes = view.plan.resumes
        begun = [cells[resumes.run]] if resumes and resumes.run in cells else []
        cell = next(iter(begun), view.origin.cell)
        if cell and cell.sheet == sheet:
            there = prints.get(cell.place, Print(cell, view.plan))
            prints[cell.place] = replace(there, job=None if view.state in CAME_TO_A_RUN else view)
    return tuple(each for _, each in sorted(prints.items()) if each.run or each.job)
