"""A local stand-in of the QuickBooks Online API: one company, with its own users, books and limits."""
