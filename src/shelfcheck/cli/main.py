"""The `shelfcheck` command: its groups, and how errors reach a person."""

from __future__ import annotations

import sys
from typing import Final

import click

from shelfcheck import __version__, interrupts
from shelfcheck.cli.lazy import LazyGroup
from shelfcheck.cli.lean import start_lean
from shelfcheck.errors import ShelfcheckError

# In the order in which people meet them. Name of the command: (module, what it does).
COMMANDS: Final = {
    "run": ("shelfcheck.cli.run", "Raw reviews in, ranked findings and a report out."),
    "demo": ("shelfcheck.cli.demo", "Generate reviews with planted faults, run, and score the findings."),
    "generate": ("shelfcheck.cli.demo", "Write made-up reviews with planted faults."),
    "prepare": ("shelfcheck.cli.prepare", "Read, check, clean and store reviews by month."),
    "count": ("shelfcheck.cli.count", "How many reviews there are, from metadata, in milliseconds."),
    "sample": ("shelfcheck.cli.sample", "Draw a stratified sample, and check that it stands for all."),
    "explore": ("shelfcheck.cli.explore", "Describe the reviews: tables, and a page to look at."),
    "train": ("shelfcheck.cli.models", "Learn what each category's reviews sound like."),
    "tune": ("shelfcheck.cli.tune", "Find settings of a model that do best on unseen products."),
    "evaluate": ("shelfcheck.cli.evaluation", "Judge a model on what it has not seen, or on any data."),
    "leaderboard": ("shelfcheck.cli.evaluation", "Rank all registered models by quality, with their cost."),
    "predict": ("shelfcheck.cli.models", "Predict categories of reviews in a file, or of a text."),
    "export": ("shelfcheck.cli.export", "Write the reviews as training files of BlazingText or fastText."),
    "models": ("shelfcheck.cli.registry", "List, show, promote, roll back and verify trained models."),
    "serve": ("shelfcheck.cli.serve", "Answer predictions over HTTP."),
    "language": ("shelfcheck.cli.language", "Show how the language of each category shifts."),
    "audit": ("shelfcheck.cli.audit", "Find misplaced reviews and miscategorised products."),
    "graph": ("shelfcheck.cli.graph", "Build the graph of customers, products, reviews and categories."),
    "report": ("shelfcheck.cli.report", "Write the report as one HTML file."),
    "status": ("shelfcheck.cli.status", "Show what a workspace holds and what is out of date."),
    "config": ("shelfcheck.cli.config", "Show all settings, and where each comes from."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try it: shelfcheck demo",
)
@click.version_option(__version__, prog_name="shelfcheck")
def cli() -> None:
    """Shelfcheck uses product reviews to keep a shop's catalogue right.

    It learns what each category's reviews sound like, and tells which reviews sit on the
    wrong product and which products stand in the wrong category: ranked, with evidence.
    """


def main() -> None:
    """Run the command line; exit 0 when done, 1 when it failed, 2 when it was used wrongly."""
    start_lean()
    interrupts.watch()
    try:
        code = cli.main(prog_name="shelfcheck", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ShelfcheckError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Nothing was left half-written; run the same command to go on.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output is gone (`shelfcheck config | head`); that is no failure of ours.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
