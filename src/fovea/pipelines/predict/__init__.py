"""A folder of pictures and a trained model to a table."""
