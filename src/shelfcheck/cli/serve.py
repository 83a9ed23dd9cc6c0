"""`shelfcheck serve`."""

from __future__ import annotations

import logging

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.settings_file import parse_assignments


@click.command(
    epilog="""\b
Examples:
  shelfcheck serve --workspace shop
  shelfcheck serve --workspace shop --model challenger --port 8081
  curl -H 'content-type: application/json' http://127.0.0.1:8080/invocations \\
    -d '{"instances": ["The strings stay in tune"], "configuration": {"k": 3}}'"""
)
@click.option("--model", help="A registered version or an alias; the champion when not given.")
@click.option("--host", help="Address to listen on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@options.workspace
@options.config
@options.assignments
@options.quiet
def serve(
    *,
    model: str | None,
    host: str | None,
    port: int | None,
    workspace: str,
    config: str | None,
    assignments: tuple[str, ...],
    quiet: bool,
) -> None:
    """Answer predictions over HTTP, by the contract of SageMaker's BlazingText.

    GET /ping, POST /invocations, GET /models, GET /metrics; GET / describes them. A version that is
    promoted is taken up without losing a request. SIGTERM and Ctrl-C finish requests in flight.
    Needs: pip install 'shelfcheck[serve]'
    """
    overrides = parse_assignments(assignments)
    overrides |= {
        key: value for key, value in (("serve.host", host), ("serve.port", port)) if value is not None
    }
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING if quiet else logging.INFO
    )

    def started(url: str, version: str) -> None:
        if not quiet:
            click.echo(f"{version} answers at {url}", err=True)

    api.serve(workspace, model=model, config=config, overrides=overrides, started=started)
