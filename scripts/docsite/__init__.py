"""What the documentation site is made of beyond the pages in `docs/`, and what its tests read in those pages."""
