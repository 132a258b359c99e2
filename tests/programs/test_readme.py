"""README.md tells no tales: its examples run, and print what they say."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from app_server import Server
from test_layouts import film

from pipeline.settings import ROOT
from pipeline.video import read_frames

ADDRESS = "http://127.0.0.1:7860"


def test_the_examples_run_and_print_what_they_say(server: Server, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    code = "\n".join(blocks)
    assert ADDRESS in code
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert len(promised) == code.count("print(") > 0, "every line that is printed is told"
    film(tmp_path / "clip.mp4", 9, size=(64, 64))
    printed, names = io.StringIO(), dict[str, Any]()
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(printed):
        exec(code.replace(ADDRESS, server.url), names)  # the project's own examples
    told = [line for line in printed.getvalue().splitlines() if not line.startswith("Loaded as API")]
    assert told == promised
    assert len(list(read_frames(Path(names["video"])))) == 17
