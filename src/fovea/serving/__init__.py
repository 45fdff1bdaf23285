"""A delivered model at work: encoded pictures to class names and probabilities, with onnxruntime and without PyTorch.

This package, `fovea.pictures`, `fovea.augment` and `fovea.core.errors` travel with the model; they need nothing else of
Fovea, which a test watches.
"""
