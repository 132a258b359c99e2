"""The page's report on the model inside: its figures, and pictures that the app serves."""

import re
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from pipeline.settings import ASSETS, Settings
from pipeline.store import Store
from pipeline.ui.about import report
from pipeline.ui.media import serve_media


def test_the_report_is_shown_with_pictures_that_are_served_and_nothing_else_is(tmp_path: Path) -> None:
    app = FastAPI()
    settings = Settings(home=tmp_path)
    serve_media(app, Store(tmp_path, settings.quota), settings)
    text = report(ASSETS / "tabletop")
    assert "| colour |" in text
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert pictures
    assert pictures == re.findall(r"\]\(([^)]+)\)", text), "a link leads to what this app does not serve"
    assert "`scaling.json`" in text
    with TestClient(app) as client:
        for picture in pictures:
            answer = client.get(f"/{picture}")
            assert answer.status_code == 200
            assert answer.content[8:12] == b"WEBP"
        assert client.get("/about/probe.safetensors").status_code == 404
        assert client.get("/about/..%2Ftraining.json").status_code == 404


def test_a_model_without_a_report_says_how_to_make_one(tmp_path: Path) -> None:
    assert "make eval" in report(tmp_path)
