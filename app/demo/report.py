"""Tells a person what happened: with colours, tables and progress on a terminal, in plain lines everywhere else."""

import sys
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from app.demo.scene import Grid, Scene

WIDTH = 110  # of plain text: longer lines are wrapped, tables are not
INDENT = "    "
MILESTONES = 4  # plain progress is told this often


def printable(text: str) -> str:
    """Without anything that could move a cursor or break a line: some of it comes over the network."""
    return "".join(character if character.isprintable() else "?" for character in text)


class Report(ABC):
    """What the play tells, as it goes."""

    @abstractmethod
    def opening(self, title: str, lines: Sequence[str]) -> None:
        """Who plays against what."""

    @abstractmethod
    def scene(self, scene: Scene) -> None:
        """A scene that has been played."""

    @abstractmethod
    def closing(self, verdict: str, lines: Sequence[str], *, passed: bool) -> None:
        """How it all went."""

    @abstractmethod
    def note(self, sentence: str) -> None:
        """One sentence in between."""

    @abstractmethod
    def waiting(self, sentence: str) -> AbstractContextManager[None]:
        """While nothing is there to be told yet."""

    @abstractmethod
    def progress(self, what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """While many things end one by one: call what it gives for each."""


def verdict_of(scene: Scene) -> str:
    """How a scene went, in a word."""
    if scene.failures:
        return "FAILED"
    return "skipped" if scene.skipped else "ok"


class PlainReport(Report):
    """Lines of text without control characters, for files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def opening(self, title: str, lines: Sequence[str]) -> None:
        self._say(title)
        for line in lines:
            self._say(line, INDENT)
        self._say("")

    def scene(self, scene: Scene) -> None:
        self._say(f"{scene.number:2d}. {scene.title}  [{verdict_of(scene)}, {scene.elapsed_s:.1f} s]")
        self._say(f"Expected: {scene.expected}", INDENT)
        for sentence in [scene.skipped] if scene.skipped else scene.seen:
            self._say(f"{'Skipped' if scene.skipped else 'Seen'}: {sentence}", INDENT)
        for grid in scene.grids:
            self._grid(grid)
        for failure in scene.failures:
            self._say(f"FAILED: {failure.what}", INDENT)
            self._say(f"expected: {failure.expected}", INDENT * 2)
            self._say(f"got:      {failure.got}", INDENT * 2)
        self._say("")

    def closing(self, verdict: str, lines: Sequence[str], *, passed: bool) -> None:  # noqa: ARG002
        self._say(verdict)
        for line in lines:
            self._say(line, INDENT)

    def note(self, sentence: str) -> None:
        self._say(sentence)

    @contextmanager
    def waiting(self, sentence: str) -> Iterator[None]:  # noqa: ARG002
        yield

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        ended = 0

        def advance() -> None:
            nonlocal ended
            ended += 1
            if ended * MILESTONES // total > (ended - 1) * MILESTONES // total:
                self._say(f"... {ended} of {total} {what}")

        yield advance

    def _grid(self, grid: Grid) -> None:
        rows = [tuple(map(printable, row)) for row in (grid.columns, *grid.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(grid.columns))]
        rows.insert(1, tuple("-" * width for width in widths))
        for row in rows:
            cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._write(f"{INDENT}{cells}")

    def _say(self, text: str, indent: str = "") -> None:
        lines = textwrap.wrap(printable(text), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ") or [""]
        for line in lines:
            self._write(line)

    def _write(self, line: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(line.rstrip().encode(encoding, "replace").decode(encoding) + "\n")
        self._stream.flush()


def report_for(stream: TextIO = sys.stdout) -> Report:
    """The richest that this stream can show."""
    if not stream.isatty():
        return PlainReport(stream)
    from rich.console import Console  # noqa: PLC0415 - 100 ms that a pipe need not wait for

    from app.demo.terminal_report import TerminalReport  # noqa: PLC0415

    console = Console(file=stream, highlight=False)
    return PlainReport(stream) if console.is_dumb_terminal else TerminalReport(console)
