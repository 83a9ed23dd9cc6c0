"""How many reviews there are, and a sample of them that stands for all.

`count` answers from metadata and imports nothing heavy; `sample` draws.
"""
