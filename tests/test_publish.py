"""What goes to the Hub: listed without asking anybody, checked, sent in one commit, and able to start there."""

import base64
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from app_server import running_app
from huggingface_hub import HfApi

from pipeline.errors import BadRequest, PublishFailed
from pipeline.hub.front_matter import model_faults, space_faults
from pipeline.publish import MODEL, SPACE, Parcel, check, listing, main, publish
from pipeline.settings import ROOT


class Hub(BaseHTTPRequestHandler):
    """The four routes of the Hub that a small upload calls; what is committed is kept in `files`."""

    files: dict[str, bytes]
    refusal: int | None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.refusal:
            return self._answer({"error": "no"}, self.refusal)
        if self.path == "/api/repos/create":
            return self._answer({"url": f"https://huggingface.co/spaces/me/{json.loads(body)['name']}"})
        if "/preupload/" in self.path:
            modes = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            return self._answer({"files": modes})
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return self._answer({"commitOid": "1" * 40, "commitUrl": "https://huggingface.co/spaces/me/it/commit/1"})

    def do_GET(self) -> None:
        self._answer({"sha": "0" * 40, "id": "me/it"}, self.refusal or 200)

    def _answer(self, data: dict[str, object], status: int = 200) -> None:
        text = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub(refusal: int | None = None) -> Iterator[tuple[HfApi, dict[str, bytes]]]:
    files: dict[str, bytes] = {}
    handler = type("OneHub", (Hub,), {"files": files, "refusal": refusal})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token="hf_" + "x" * 34), files
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def small(tmp_path: Path) -> Parcel:
    for name in ("README.md", "pipeline/a.py", "pipeline/__pycache__/a.pyc", "tests/test_a.py", "pipeline/.hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Parcel("space", tmp_path, ("README.md", "pipeline"), lambda _: [])


def test_a_dry_run_lists_and_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "me/tabletop", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "transformer/diffusion_pytorch_model-00001-of-00002.safetensors" in told
    assert "to the model me/tabletop; front matter in order" in told


def test_a_space_is_the_app_without_its_tests() -> None:
    names = [path.as_posix() for path in SPACE.files()]
    assert {"app.py", "README.md", "requirements.txt", "LICENSE", "assets/tabletop/model_index.json"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", ".", "runs/")) or "__pycache__" in name]


def test_what_is_listed_is_what_arrives(small: Parcel) -> None:
    with hub() as (api, files):
        assert publish(small, "me/it", api) == f"{api.endpoint}/spaces/me/it"
    assert files == {"README.md": b"README.md", "pipeline/a.py": b"pipeline/a.py"}
    assert [line.split()[-1] for line in listing(small, "me/it")][:-1] == sorted(files)


@pytest.mark.parametrize(("status", "says"), [(401, "hf auth login"), (403, "hf auth login"), (500, "answered 500")])
def test_a_refusal_of_the_hub_says_what_to_do(small: Parcel, status: int, says: str) -> None:
    with hub(status) as (api, _), pytest.raises(PublishFailed, match=says):
        publish(small, "me/it", api)


def test_without_the_hub_nothing_is_published(small: Parcel) -> None:
    with pytest.raises(PublishFailed, match="when the Hub can be reached"):
        publish(small, "me/it", HfApi(endpoint="http://127.0.0.1:9", token="hf_" + "x" * 34))


@pytest.mark.parametrize("repo", ["onetake", "me/", "a/b/c", "me/it now", ""])
def test_a_name_that_is_none_is_refused(repo: str) -> None:
    with pytest.raises(BadRequest, match="user/name"):
        check(MODEL, repo)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("sdk_version: 6.31.0", "sdk_version: 5.0.0", "requirements.txt pins gradio 6.31.0"),
        ("app_file: app.py", "app_file: main.py", "no such file"),
        ("license: apache-2.0\n", "", "license is missing"),
        ("colorTo: gray", "colorTo: beige", "colorTo is beige"),
        ('python_version: "3.12"', 'python_version: "3.13"', "python_version is 3.13"),
        ("short_description: ", "short_description: much too long, ", None),
        ("  - Wan-AI/Wan2.1-T2V-1.3B-Diffusers\n", "", "not those of the registry"),
        ("---\n", "", "title is missing"),
    ],
)
def test_a_front_matter_out_of_order_is_told(tmp_path: Path, old: str, new: str, fault: str | None) -> None:
    for name in ("app.py", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert old in readme
    (tmp_path / "README.md").write_text(readme.replace(old, new), "utf-8")
    assert fault is None or fault in "; ".join(space_faults(tmp_path))
    assert space_faults(ROOT) == [] == model_faults(MODEL.folder)


def test_what_goes_to_a_space_starts_there_without_a_secret(tmp_path: Path) -> None:
    for path in SPACE.files():
        (tmp_path / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / "app" / path)
    with running_app(tmp_path / "home", root=tmp_path / "app", SPACE_ID="me/onetake") as server:
        assert server.line.startswith("Onetake is ready")


def test_the_command_line_refuses_in_one_line() -> None:
    command = [sys.executable, "-m", "pipeline.publish", "space", "nobody", "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "onetake: 'nobody' is no name on the Hub. Write it as user/name.\n"
