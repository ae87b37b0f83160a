"""What every command does around its main(): errors become one line and an exit status."""

from __future__ import annotations

import itertools
import re
import sys
import traceback
from collections.abc import Callable, Sequence

from src.common.files import printable
from src.common.output import Output, safe_output
from src.common.packages import REQUIRED, missing
from src.common.system_errors import describe
from src.common.utf8 import use_utf8
from src.model_utils.config import ConfigError

_MAX_LENGTH = 600


class Interrupted(Exception):
    """Work that was ended in good order because the process received a signal.

    Args:
        message: What is told to the person, one line.
        signal_number: The signal; the exit status is 128 more.
    """

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.signal_number = signal_number


def run_command(
    main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None, *, prints_results: bool = True
) -> int:
    """Run a command and report its failure to a person: one line on stderr, and the traceback with --debug.

    Output that cannot be written ends no command.

    Args:
        main: The command; takes the arguments and returns its exit status, None for success.
        argv: Command-line arguments without the program's name; None takes those of the process.
        prints_results: Whether the command has failed if its output is lost; else its results lie in files.

    Returns:
        The exit status: main's own, 2 for a ConfigError, 1 for any other error or lost results, 128 plus the signal's
        number after an interrupt.

    Raises:
        SystemExit: As main raises it, such as after --help.
    """
    if argv is None:
        use_utf8()
        argv = sys.argv[1:]
    with safe_output() as output:
        try:
            status = _run(main, argv)
        except SystemExit as stop:
            if _reports_loss(output, prints_results) and not stop.code:
                raise SystemExit(1) from stop
            raise
        return 1 if _reports_loss(output, prints_results) and not status else status


def _reports_loss(output: Output, prints_results: bool) -> bool:
    """Say on stderr if text for stdout was lost; return whether that is a failure."""
    output.flush()
    lost = output.lost()
    if lost:
        print(f"{'error' if prints_results else 'warning'}: output is lost: {lost}", file=sys.stderr)
    return bool(lost) and prints_results


def _run(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    """Run a command; what it raises becomes a line and a status."""
    try:
        return main(argv) or 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - this is where every error ends
        # What the command has printed so far belongs above its error.
        sys.stdout.flush()
        debug = _wants_traceback(argv)
        if debug:
            traceback.print_exc()
        if isinstance(error, Interrupted):
            print(printable(str(error)), file=sys.stderr)
            return 128 + error.signal_number
        if isinstance(error, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
            return 130
        print(f"error: {_describe(error, debug)}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1


def _describe(error: Exception, debug: bool) -> str:
    """Return an error as one line of limited length."""
    if isinstance(error, ModuleNotFoundError) and error.name in REQUIRED:
        return missing(error.name)
    message = describe(error) if isinstance(error, OSError) else str(error)
    # Below a line of dashes MindSpore tells its developers where in its code it was.
    message = re.split(r"\n-{20,}\n", message)[0]
    expected = isinstance(error, ValueError | OSError)
    kind = type(error).__name__
    line = printable(" ".join(message.split()))
    if not line:
        line = kind
    elif not expected:
        line = f"{kind}: {line}"
    if len(line) > _MAX_LENGTH:
        line = f"{line[: _MAX_LENGTH - 3]}..."
    return line if expected or debug else f"{line} (--debug shows the traceback)"


def _wants_traceback(argv: Sequence[str]) -> bool:
    """Tell whether --debug is on; read from the arguments themselves, as the error may be theirs."""
    wanted = False
    for word, following in itertools.zip_longest(argv, argv[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name == "--debug":
            wanted = (value if equals else following).strip().lower() != "false"
    return wanted
