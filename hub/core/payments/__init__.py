"""Money received, and what it pays."""
