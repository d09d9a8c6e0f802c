"""The command ``reflexio-async``; needs the extra ``cli`` (typer and rich)."""

from __future__ import annotations

import io
import sys

_NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command line. It always ends with SystemExit."""
    try:
        from reflexio_async.cli.app import app  # noqa: PLC0415  # needs the extra `cli`
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        sys.stderr.write(
            f"error: the command line needs {missing}, which is not installed: "
            'python -m pip install "reflexio-async[cli]"\n'
        )
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # Ctrl-C while the command is being loaded
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character of a user id must not stop the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="reflexio-async")


__all__ = ["main"]
