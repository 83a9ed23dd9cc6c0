"""The page in a real browser: charts are drawn, the console is silent, nothing is asked of the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import report_factory as factory
from test_page import evil_inputs

from shelfcheck.config import Settings
from shelfcheck.report import ReportInputs, write_report

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=20000",
    "--enable-logging=stderr",
    "--v=0",
)
OWN_HOSTS = (".google.com", ".googleapis.com", ".gvt1.com")  # what the browser asks for its own sake

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def visit(page: Path, profile: Path) -> tuple[str, list[str], list[str]]:
    """The page's DOM once scripts have run, what the console said, and the URLs that were requested."""
    assert BROWSER is not None
    log = profile.with_suffix(".json")
    said = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--log-net-log={log}",
            "--window-size=1280,900",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    console = [line for line in said.stderr.splitlines() if "CONSOLE" in line]
    asked = re.findall(r'"url":("(?:[^"\\]|\\.)*")', log.read_text(encoding="utf-8")) if log.exists() else []
    return said.stdout, console, [json.loads(url) for url in asked]


def drawn(dom: str) -> set[str]:
    """Names of the charts that hold a drawing."""
    return set(re.findall(r'id="chart-([\w-]+)"[^>]*><div[^>]*><svg', dom)) | set(
        re.findall(r'id="chart-([\w-]+)"[^>]*><svg', dom)
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return factory.write_inputs(tmp_path_factory.mktemp("inputs"))


def test_charts_are_drawn_and_the_console_is_silent(inputs: ReportInputs, tmp_path: Path) -> None:
    page = write_report(inputs, tmp_path / "report.html", Settings())
    dom, console, asked = visit(page, tmp_path / "profile")
    assert console == []
    assert drawn(dom) >= {
        "months",
        "categories",
        "quality-by-category",
        "reliability",
        "coverage",
        "confusion",
        "by-body-tokens",
        "by-star-rating",
        "by-year",
        "models-0",
        "behind-0",
    }
    assert [
        url for url in asked if url.startswith(("http", "ws", "ftp")) and "shelfcheck" in url.lower()
    ] == []
    shown = re.findall(r'<p class="shown" id="misplaced-shown">([^<]*)</p>', dom)
    assert shown == ["Showing 25 of 60"]
    assert len(re.findall(r'<article class="finding"[^>]* hidden=""', dom)) == 60 - 25 + 30 - 25


def test_hostile_reviews_do_nothing(tmp_path: Path) -> None:
    page = write_report(evil_inputs(tmp_path), tmp_path / "report.html", Settings())
    dom, console, _ = visit(page, tmp_path / "profile")
    assert console == []
    assert "data-pwned" not in re.findall(r"<html[^>]*>", dom)[0]
    assert "confusion" in drawn(dom)


def test_the_policy_is_in_force(inputs: ReportInputs, tmp_path: Path) -> None:
    """A script that is not the page's own is refused, so the silence above means something."""
    page = write_report(inputs, tmp_path / "report.html", Settings())
    text = page.read_text(encoding="utf-8")
    added = "<script>document.documentElement.dataset.pwned=1</script><img src='https://example.org/x.png'>"
    page.write_text(text.replace("<main", added + "<main", 1), encoding="utf-8")
    dom, console, _ = visit(page, tmp_path / "profile")
    assert "data-pwned" not in re.findall(r"<html[^>]*>", dom)[0]
    assert len([line for line in console if "Content Security Policy" in line]) == 2
