"""Made-up reviews in all forms, as nasty as real ones and worse, for tests that compare engines."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.schema import REVIEW_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

NAMES = REVIEW_SCHEMA.names
TEXTS = [
    "It works as told, and the lamp is bright.",
    "İstanbul ΑΣ ΣΑΣ straße ﬁne ǅ",
    "vertical\x0btab and\u00a0no-break\u2003spaces\x1c\x85here",
    "😀👩‍👩‍👧 e\u0301 \u202eright to left",
    "<b>It&#39;s</b> GREAT<br />Buy &amp; don't look back",
    "a\\b \"quoted\" it's 100% 'fine'; DROP TABLE--",
    "........ !!!! ????",
    "same text as others",
    "\u00a0\u2003\x0b ",
    "1234",
    "x" * 6000,
    "word " * 900,
    "",
]


def rows(n: int, seed: int) -> list[dict[str, object]]:
    """Rows with nulls everywhere, repeated ids, repeated content, ties; the same for a seed."""
    chance = random.Random(seed)  # noqa: S311 - test data
    made = []
    for i in range(n):
        text = chance.choice(TEXTS)
        row: dict[str, object] = {
            "marketplace": chance.choice(["US", "US", "UK", "", "us"]),
            "customer_id": chance.choice(["", str(chance.randrange(20))]),
            # Ids of other files come again; many rows have none.
            "review_id": chance.choice(["", f"R{seed}-{i}", f"R{chance.randrange(60)}"]),
            "product_id": chance.choice(["", f"P{chance.randrange(9)}", "P0"]),
            "product_parent": "7",
            "product_title": chance.choice(["", "Lampe größer", 'Lamp, 6" tall']),
            "product_category": chance.choice(["Books", "Books", "Gift Card", "Gift_Card", "Rare", ""]),
            "star_rating": chance.randrange(1, 6),
            "helpful_votes": chance.choice(["", "3"]),
            "total_votes": 2**31 - 1,
            "vine": chance.choice(["Y", "N", ""]),
            "verified_purchase": "Y",
            "review_headline": chance.choice(["", "Fine", "ΣΑΣ"]),
            "review_body": text if chance.random() < 0.5 or not text.strip() else f"{text} {i % 7}",
            "review_date": chance.choice(["", "2014-05-06", "2015-08-31", "2015-08-31", "1999-12-31"]),
        }
        made.append(row)
    return made


def tsv(made: list[dict[str, object]]) -> bytes:
    """As published: tabs, no quoting, a header."""
    lines = ["\t".join(NAMES)]
    lines += ["\t".join(str(row[name]) for name in NAMES) for row in made]
    return ("\n".join(lines) + "\n").encode()


def parquet_table(made: list[dict[str, object]]) -> pa.Table:
    """As published: strings, numbers and dates; empty values are null."""
    columns = {name: [None if row[name] == "" else str(row[name]) for row in made] for name in NAMES}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    for name, kind in (
        ("star_rating", pa.int32()),
        ("total_votes", pa.int32()),
        ("review_date", pa.date32()),
    ):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind))
    return table


def write_nasty(folder: Path) -> Path:
    """Files to prepare: TSV, gzip, Parquet in row groups, JSON lines with metadata, broken ones."""
    folder.mkdir(parents=True)
    plain = tsv(rows(250, 1)).splitlines(keepends=True)
    good = rows(1, 99)[0]
    broken = [
        "\t".join(str(good[name]) for name in NAMES[:-2]).encode() + b"\n",
        "\t".join(["too", *(str(good[name]) for name in NAMES), "many"]).encode() + b"\n",
        tsv([good | {"review_body": "a NUL \0 in it"}]).splitlines(keepends=True)[1],
        tsv([good]).splitlines(keepends=True)[1].replace(b"P", b"\xff\xfe"),
        tsv([good | {"star_rating": 7}]).splitlines(keepends=True)[1],
        tsv([good | {"review_date": "2099-01-01"}]).splitlines(keepends=True)[1],
        tsv([good | {"helpful_votes": "many"}]).splitlines(keepends=True)[1],
        b"\n",
        plain[0],
    ]
    huge = tsv([good | {"review_body": "huge " * 600_000, "review_id": "HUGE"}]).splitlines(keepends=True)[1]
    (folder / "a.tsv").write_bytes(b"".join([*plain[:100], *broken, *plain[100:], b"\n\n"]))
    (folder / "b.tsv.gz").write_bytes(gzip.compress(tsv(rows(200, 2))))
    (folder / "c_cut.tsv.gz").write_bytes(gzip.compress(tsv(rows(300, 3)), mtime=0)[:-40])
    pq.write_table(parquet_table(rows(400, 4)), folder / "d.parquet", row_group_size=60)
    pq.write_table(parquet_table([]), folder / "e_none.parquet")
    (folder / "f_empty.tsv").write_bytes(b"")
    (folder / "g_header.tsv").write_bytes(tsv([]))
    for i in range(6):  # small files
        pq.write_table(parquet_table(rows(7, 10 + i)), folder / f"h{i}.parquet")
    (folder / "i_huge.tsv.gz").write_bytes(gzip.compress(b"".join([plain[0], huge, *plain[1:9]])))
    reviews = [
        {
            "asin": f"P{i % 5}",
            "reviewText": TEXTS[i % 7],
            "overall": float(i % 5 + 1),
            "unixReviewTime": 1.4e9 + i,
        }
        for i in range(80)
    ]
    lines = [json.dumps(review) for review in reviews]
    (folder / "Lamps_5.json").write_text(
        "\n".join([*lines[:40], "{broken", *lines[40:]]) + "\n", encoding="utf-8"
    )
    metadata = [{"asin": f"P{i}", "title": f"Lamp {i}", "category": ["Home", "Lamps"]} for i in range(4)]
    (folder / "meta_Lamps.json").write_text(
        "\n".join([*map(json.dumps, metadata), "{broken metadata"]) + "\n", encoding="utf-8"
    )
    return folder
