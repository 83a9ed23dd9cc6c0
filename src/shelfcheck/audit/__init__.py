"""Findings about a catalogue: misplaced reviews, miscategorised products, products that get worse."""

from shelfcheck.audit.declining_products import declining_products
from shelfcheck.audit.miscategorised_products import miscategorised_products
from shelfcheck.audit.misplaced_reviews import misplaced_reviews

__all__ = ["declining_products", "miscategorised_products", "misplaced_reviews"]
