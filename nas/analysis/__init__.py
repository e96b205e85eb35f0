"""Reading a study: the winner, and what mattered."""
