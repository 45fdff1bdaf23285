"""For notebooks: the project in one call, results that stay at hand, figures, and data that need no download.

from fovea.notebook import load

project = load(["model=deep_mnist", "trainer.max_epochs=3"])
project.config.trainer.max_epochs  # 3
prepared = project.catalog.load("prepared")
project.session.run(pipeline_names=["train"])
"""

import warnings

from fovea.notebook.project import BRIEF, Project, Trained, load, network, train
from fovea.notebook.showing import photograph, show

__all__ = ["BRIEF", "Project", "Trained", "load", "network", "photograph", "show", "train"]

# Of tqdm, about bars that nothing here shows.
warnings.filterwarnings("ignore", message="IProgress not found")
