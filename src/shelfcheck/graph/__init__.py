"""The review graph: customers, products, reviews and categories, as tables of nodes and edges.

The Parquet tables are the record (`build`, `predictions`, `store`). Questions are answered on them by
DuckDB (`queries`), or in Cypher by an embedded index that is made from them (`index`) or by a server that
they were loaded into (`ask_server`).
"""
