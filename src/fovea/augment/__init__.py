"""Random changes of training pictures. The one door to albumentations, which is imported when a transform is built."""

from fovea.augment.augmenter import Augmenter, build
from fovea.augment.threads import single_threaded

__all__ = ["Augmenter", "build", "single_threaded"]
