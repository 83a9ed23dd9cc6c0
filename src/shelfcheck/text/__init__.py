"""Text kernels: Arrow strings in, Arrow strings out, the same on every engine."""
