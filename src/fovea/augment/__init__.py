"""Changes of pictures on their way to the network. The one door to albumentations, imported when one is built."""

from fovea.augment.augmenter import Augmenter, build, build_eval
from fovea.augment.fit import fit
from fovea.augment.mixing import Mix
from fovea.augment.threads import single_threaded

__all__ = ["Augmenter", "Mix", "build", "build_eval", "fit", "single_threaded"]
