"""Work for clients, and its tasks."""
