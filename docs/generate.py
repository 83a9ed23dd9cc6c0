"""Write the reference pages from the code: run it with `make docs`; a test fails while they differ."""

from __future__ import annotations

from pathlib import Path

import click

from shelfcheck.cli.main import COMMANDS, cli
from shelfcheck.config import Section, Settings

REFERENCE = Path(__file__).parent / "reference"


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    return {REFERENCE / "cli.md": _cli(), REFERENCE / "settings.md": _settings()}


def _cli() -> str:
    parts = [
        "# Command line",
        "",
        "Generated from `--help` by `make docs`.",
        "",
        "Every command exits with 0 when it is done, 1 when it failed and 2 when it was used wrongly;",
        "130 when it was interrupted. What a person reads about the work goes to standard error,",
        "results go to standard output, and `--json` makes them JSON.",
        "",
    ]
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        cli, info_name="shelfcheck", max_content_width=88, terminal_width=88, help_option_names=names
    )
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is None:  # pragma: no cover - COMMANDS names only commands
            raise LookupError(name)
        parts += _command(command, name, context)
    return "\n".join(parts)


def _command(command: click.Command, name: str, parent: click.Context) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=88, terminal_width=88)
    parts = [f"## {context.command_path}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    if isinstance(command, click.Group):
        for inner in command.commands or command.list_commands(context):  # in the order of the module
            found = command.get_command(context, inner)
            if found is None:  # pragma: no cover - a group lists only what it has
                raise LookupError(inner)
            parts += _command(found, inner, context)
    return parts


def _settings() -> str:
    parts = [
        "# Settings",
        "",
        "Generated from `shelfcheck.config` by `make docs`. Settings stand in `shelfcheck.toml`; any of them",
        "can be given on the command line as `--set key=value`. `shelfcheck config > shelfcheck.toml` writes",
        "a file with all of them to start from.",
        "",
        "| setting | default | what it does |",
        "|---|---|---|",
    ]
    parts += _rows(Settings(), "")
    return "\n".join([*parts, ""])


def _rows(section: Section, prefix: str) -> list[str]:
    rows = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            shown = "unset" if value is None else f"`{list(value) if isinstance(value, tuple) else value!r}`"
            told = (field.description or "").replace("|", r"\|")
            rows.append(f"| `{prefix}{name}` | {shown} | {told} |")
    return rows


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
