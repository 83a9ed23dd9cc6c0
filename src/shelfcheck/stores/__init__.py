"""Object stores: what is asked of one, by retried requests, whole or not at all.

`store` and `s3` ask one thing at a time, `transfer` moves many files side by side, `lease` keeps two machines
apart, `places` reads and writes single files wherever they are, `errors` puts failures into words. `mirror`
is the local copy of a workspace that stands in a store, and `tops` the files at a workspace's top, which
several runs share.
"""

from shelfcheck.stores.errors import AbsentError, ChangedError, StoreError
from shelfcheck.stores.store import ANY, Blob, Entry, Store, open_store, split

__all__ = [
    "ANY",
    "AbsentError",
    "Blob",
    "ChangedError",
    "Entry",
    "Store",
    "StoreError",
    "open_store",
    "split",
]
