"""Findings about a catalogue: reviews on a wrong product, products in a wrong category."""

from shelfcheck.audit.miscategorised_products import miscategorised_products
from shelfcheck.audit.misplaced_reviews import misplaced_reviews

__all__ = ["miscategorised_products", "misplaced_reviews"]
