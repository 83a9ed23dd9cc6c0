"""The `transformer` model: a pre-trained encoder of texts, fine-tuned to classify reviews.

Importing this package loads neither PyTorch nor Transformers; learning and loading do.
"""

from shelfcheck.models.transformer.model import TransformerModel

__all__ = ["TransformerModel"]
