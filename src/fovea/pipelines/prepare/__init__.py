"""Source files to a prepared data set."""
