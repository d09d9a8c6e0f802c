"""A pseudo-terminal for commands that run in this process."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest
import typer.main

from reflexio_async.cli.app import app
from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "win32":
    import pty

    import typer.main

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Screen(NamedTuple):
    """What a command has left on a terminal. Standard output and standard error are one."""

    exit_code: int
    raw: str

    @property
    def text(self) -> str:
        """Without styles."""
        return _STYLE.sub("", self.raw).replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    """Return a function that runs a command on a pseudo-terminal.

    Its arguments are the words of the command, ``columns``, and ``typed``: what is typed on the keyboard.
    """

    def run(*args: str, columns: int = 200, typed: str = "") -> Screen:
        controller, terminal = pty.openpty()
        seen: list[bytes] = []

        def read() -> None:
            while True:
                try:
                    seen.append(os.read(controller, 65536))
                except OSError:  # closed by the command's side
                    return

        os.write(controller, typed.encode())
        reader = threading.Thread(target=read)
        reader.start()
        with monkeypatch.context() as patched:
            patched.setenv("COLUMNS", str(columns))
            patched.setenv("TERM", "xterm-256color")
            streams = {
                name: os.fdopen(os.dup(terminal), mode, encoding="utf-8")
                for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
            }
            for name, stream in streams.items():
                patched.setattr(sys, name, stream)
            try:
                typer.main.get_command(app).main(list(args), prog_name="reflexio-async")
            except SystemExit as ended:
                exit_code = int(ended.code or 0)
            else:
                pytest.fail("a command ends with SystemExit")
            finally:
                for stream in streams.values():
                    stream.close()
                os.close(terminal)
                reader.join(A_HANG)
                os.close(controller)
        return Screen(exit_code, b"".join(seen).decode())

    return run
