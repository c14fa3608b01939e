"""From approved time to an issued invoice."""
