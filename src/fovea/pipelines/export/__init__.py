"""A trained model to a form that needs neither Fovea nor PyTorch."""
