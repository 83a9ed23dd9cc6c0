"""`shelfcheck graph query`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show
from shelfcheck.graph.bolt import PASSWORD_VARIABLE

_SHOWN = 1000


@click.command(
    epilog="""\b
Examples:
  shelfcheck graph query "MATCH (c:Category) RETURN c.category, c.products" --workspace shop
  shelfcheck graph query 'MATCH (:Customer {customer_id: $who})-[:BOUGHT]->(p:Product)
    RETURN p.title' --parameter who=C17 --json
  shelfcheck graph query "MATCH (r:Review)-[q:PREDICTED]->(c:Category)
    WHERE q.rank = 1 RETURN r.review_id, c.category, q.confidence" --output predicted.parquet
  shelfcheck graph query --question reviewed_alike -p product_id=P42 -p limit:=10 --workspace shop
  shelfcheck graph query "MATCH (p:Product) RETURN count(p) AS n" --server bolt://localhost:7687 --user me
  shelfcheck graph query "MATCH (p:Product) RETURN count(p) AS n" --server neptune \\
    --endpoint https://my-cluster:8182 --region eu-central-1"""
)
@click.argument("cypher", required=False)
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Text that $NAME in the query stands for; NAME:=VALUE for a number or other JSON. May be repeated.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write the answer as Parquet.")
@click.option(
    "--question",
    metavar="NAME",
    help="Instead of a query: products_of_category, mismatches, neighbours, reviewed_alike, customer_history "
    "or category_confusion, answered from the tables; -p gives its arguments.",
)
@click.option(
    "--server",
    metavar="ADDRESS",
    help="Ask a server that the graph was loaded into: bolt://HOST:7687, neo4j+s://HOST, …, or neptune.",
)
@click.option(
    "--user",
    envvar="SHELFCHECK_GRAPH_USER",
    show_envvar=True,
    help="Bolt: user; the password is read from SHELFCHECK_GRAPH_PASSWORD.",
)
@click.option("--database", help="Bolt: database; the server's default when not given.")
@click.option("--endpoint", metavar="URL", help="Neptune: https://CLUSTER:8182.")
@click.option("--region", help="Neptune: region of the cluster.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds after which a server's answer is no longer waited for.",
)
@click.option("--for-neptune", is_flag=True, help="Refuse what Neptune's openCypher lacks, whoever answers.")
@options.common
def query(
    job: options.Job, *, cypher: str | None, parameters: tuple[str, ...], output: str | None, **more: Any
) -> None:
    """Ask the graph a question in openCypher.

    The query may read, not write. It is answered by an embedded index, made at the first question and
    whenever the graph has changed (--force makes it anew), or by a server. Labels: Customer, Product, Review,
    Category; relationships: WROTE, REVIEWED, BOUGHT, ASSIGNED, PREDICTED; properties are named as the columns
    of the graph's tables.
    """
    more["password"] = os.environ.get(PASSWORD_VARIABLE)
    given = dict(_parameter(text) for text in parameters)
    with job.progress() as progress:
        table = api.graph_query(job.workspace, cypher, given, **more, **job.arguments(progress))
    if output is not None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - loaded when it is used

        from shelfcheck.stores.places import writing_to  # noqa: PLC0415

        with writing_to(output) as written:
            pq.write_table(table, written, compression="zstd")
        if job.as_json:
            options.print_json({"rows": table.num_rows, "output": output})
        else:
            click.echo(f"{table.num_rows:,} rows: {output}")
        return
    if job.as_json:
        options.print_json(table.to_pylist())
        return
    shown = [["" if cell is None else str(cell) for cell in row.values()] for row in _rows(table)]
    if not shown:
        click.echo("No rows.")
        return
    kinds = [str(field.type) for field in table.schema]
    numbers = [i for i, kind in enumerate(kinds) if kind.startswith(("int", "float", "double"))]
    show("", table.schema.names, shown, numeric=numbers)
    if table.num_rows > _SHOWN:
        click.echo(f"{_SHOWN:,} of {table.num_rows:,} rows. Write all with --output answer.parquet")


def _rows(table: Any) -> list[dict[str, Any]]:
    if not table.num_columns:  # a server that names no columns of an empty answer
        return []
    rows: list[dict[str, Any]] = table.slice(0, _SHOWN).to_pylist()
    return rows


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.rstrip(":"):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--parameter")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{value!r} is no JSON: {error}", param_hint="--parameter") from error
