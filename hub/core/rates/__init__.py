"""What an hour costs the client."""
