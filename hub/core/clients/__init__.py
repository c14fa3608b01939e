"""Who buys, and whom to talk to there."""
