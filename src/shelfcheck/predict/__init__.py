"""Predictions: of any reviews with a trained model, and out of fold for the audits."""
