"""The legal entities of the firm."""
