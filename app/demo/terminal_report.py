"""The report on a terminal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.demo.report import Report, printable, verdict_of
from app.demo.scene import Grid, Scene

_INDENT = (0, 0, 0, 4)
_STYLES = {"ok": "bold green", "FAILED": "bold red", "skipped": "bold yellow"}


class TerminalReport(Report):
    """Colours, tables, a spinner and a progress bar."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def opening(self, title: str, lines: Sequence[str]) -> None:
        text = Text("\n".join(map(printable, lines)))
        self._console.print(Panel(text, title=Text(printable(title), style="bold"), expand=False, border_style="cyan"))
        self._console.print()

    def scene(self, scene: Scene) -> None:
        verdict = verdict_of(scene)
        heading = Text.assemble(
            (f"{scene.number:2d}. {printable(scene.title)}  ", "bold"),
            (verdict, _STYLES[verdict]),
            (f"  {scene.elapsed_s:.1f} s", "dim"),
        )
        self._console.print(heading)
        self._labelled("Expected", scene.expected, "dim")
        for sentence in [scene.skipped] if scene.skipped else scene.seen:
            self._labelled("Skipped " if scene.skipped else "Seen    ", sentence, "yellow" if scene.skipped else "")
        for grid in scene.grids:
            self._console.print(Padding(_table(grid), _INDENT))
        for failure in scene.failures:
            self._labelled("FAILED  ", failure.what, "bold red")
            self._labelled("expected", failure.expected, "red")
            self._labelled("got     ", failure.got, "red")
        self._console.print()

    def closing(self, verdict: str, lines: Sequence[str], *, passed: bool) -> None:
        colour = "green" if passed else "red"
        text = Text("\n".join(map(printable, lines)))
        title = Text(printable(verdict), style=f"bold {colour}")
        self._console.print(Panel(text, title=title, expand=False, border_style=colour))

    def note(self, sentence: str) -> None:
        self._console.print(Text(printable(sentence), style="yellow"))

    @contextmanager
    def waiting(self, sentence: str) -> Iterator[None]:
        with self._console.status(Text(printable(sentence), style="dim")):
            yield

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        columns = (TextColumn("    {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)

    def _labelled(self, label: str, sentence: str, style: str) -> None:
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(label, style="dim", no_wrap=True), Text(printable(sentence), style=style))
        self._console.print(Padding(line, _INDENT))


def _table(grid: Grid) -> Table:
    table = Table(box=box.ROUNDED, border_style="dim", header_style="bold")
    for column in grid.columns:
        table.add_column(Text(printable(column)), overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
