"""Products whose reviews became worse, or better: sequential tests on stars and language."""

from shelfcheck.audit.declining_products.run import KIND, declining_products

__all__ = ["KIND", "declining_products"]
