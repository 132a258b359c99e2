"""What a terminal shows beside the results, and how Ctrl-C is heard."""

import signal
import sys
import threading


def say(*lines: str) -> None:
    """Tell a person something that is no result."""
    for line in lines:
        print(line, file=sys.stderr)


def show_progress(line: str) -> None:
    """Show a line in place of the one before; an empty one clears it. Nothing where nobody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def stop_on_interrupt() -> threading.Event:
    """Return what the first Ctrl-C sets; a second one has its usual effect."""
    stop = threading.Event()

    def on_interrupt(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, on_interrupt)
    return stop
