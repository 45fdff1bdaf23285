"""Pictures from anywhere and a model to a table and a page."""
