"""Other systems' exports: read, checked row by row, and brought in as batches that can be undone."""
