"""The config of a data set to its verified source files."""
