from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from fovea.core.errors import UserError
from fovea.models import registry


def config(section, name, *, channels=1, image_size=28, **values):
    data = SimpleNamespace(name="mnist", channels=channels, image_size=image_size)
    return SimpleNamespace(data=data, model=section(name, **values))


def test_names_are_those_of_conf(project):
    members = {path.stem for path in (project / "conf" / "model").glob("*.yaml")}
    assert set(registry.names()) == members - {"timm", "torchvision"}


@pytest.mark.parametrize("in_channels", [None, 1])
def test_a_fitting_model_passes(section, name, in_channels):
    assert registry.check(config(section, name, in_channels=in_channels)) is None


def test_classes_that_are_not_known_yet_do_not_matter(section):
    found = config(section, "lenet5")
    found.data.classes = None
    assert registry.check(found) is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "lenet"}, "model.name 'lenet' is not known; did you mean 'lenet5'?"),
        ({"name": "x"}, "model.name 'x' is not known; known: " + ", ".join(registry.names())),
        (
            {"name": "lenet5", "in_channels": 3},
            "model 'lenet5' was asked for 3 input channels but data 'mnist' has 1; drop model.in_channels",
        ),
        (
            {"name": "lenet5", "image_size": 11},
            "model 'lenet5' takes pictures of 12x12 pixels or more but data 'mnist' has 11x11; raise data.image_size "
            "to at least 12 or choose another model",
        ),
    ],
)
def test_a_wrong_model_is_refused_in_one_sentence(section, wrong, sentence):
    with pytest.raises(UserError) as caught:
        registry.check(config(section, **wrong))
    assert str(caught.value) == sentence


def test_create_refuses_what_check_refuses(network):
    with pytest.raises(UserError, match="12x12 pixels or more but the data has 8x8"):
        network("lenet5", image_size=8)
    with pytest.raises(UserError, match="asked for 1 input channel but the data has 3"):
        network("lenet5", in_channels=1, channels=3)


def test_check_imports_no_torch():
    code = (
        "import sys; from types import SimpleNamespace as N; from fovea.models import registry;"
        "registry.check(N(data=N(name='d', channels=1, image_size=28), model=N(library='fovea', name='lenet5',"
        "in_channels=None, dropout=None, weights=None, sha256=None, mean=None, std=None)));"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
