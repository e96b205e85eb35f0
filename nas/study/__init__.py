"""What a study keeps, and how several processes share it."""
