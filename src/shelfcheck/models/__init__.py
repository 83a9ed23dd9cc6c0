"""Models: reviews in, calibrated category probabilities out; and how good they are."""
