"""The commands and code in README and docs run, in order, as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/tutorial.md", "docs/how-to/use-from-scikit-learn.md"]
# A fenced block of sh or python, unless the line before it says `<!-- not run: why -->`.
BLOCK = re.compile(r"(<!-- not run: [^>]+-->\n)?^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(language, smaller(code)) for skip, language, code in BLOCK.findall(text) if not skip]


def smaller(code: str) -> str:
    """The same commands for a third of the reviews, which take as long to start, and less to work."""
    return re.sub(r"--reviews (\d+)", lambda found: f"--reviews {int(found[1]) // 3}", code)


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page, tmp_path):
    found = blocks(page)
    assert found, f"{page} has no example to run"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for language, code in found:
        command = ["sh", "-eu", "-c", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}:\n{code}\n{done.stdout}\n{done.stderr}"


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_linked():
    linked = {
        (page.parent / target).resolve()
        for page in pages()
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    }
    assert [
        str(page.relative_to(ROOT)) for page in pages() if page not in linked and page.name != "README.md"
    ] == []
