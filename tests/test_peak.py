"""What a process says of its own memory."""

import subprocess
import sys

from pipeline.settings import ROOT

CHILD = "from pipeline.peak import process_peak_mb; print(process_peak_mb())"
LARGE_PARENT = f"""
import subprocess, sys
held = b"x" * (400 << 20)
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


def said_by(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def test_the_peak_is_not_that_of_the_process_that_started_it() -> None:
    assert said_by(LARGE_PARENT) < 100


def test_the_peak_counts_what_was_freed() -> None:
    assert said_by(f"held = b'x' * (200 << 20); del held; {CHILD}") > 200
