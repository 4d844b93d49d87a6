"""How commands are run in this process."""

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""Runs a command; its exit code, stdout and stderr."""
