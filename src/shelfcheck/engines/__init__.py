"""What runs the relational work. Each engine's package is imported in one module only."""
