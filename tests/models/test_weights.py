from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from fovea.core.digest import file_digest
from fovea.core.errors import RunError, UserError
from fovea.models import matching, published, weights
from fovea.models.normalize import NormalizedNet

RGB = SimpleNamespace(name="d", channels=3, mean=[0.4, 0.5, 0.6], std=[0.2, 0.2, 0.2])
GREY = SimpleNamespace(name="d", channels=1, mean=[0.13], std=[0.31])


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """A project's root without any files of weights, and no way out of this machine."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path


@pytest.fixture
def net(network):
    torch.manual_seed(1)
    return network("lenet5", channels=3, num_classes=10)


def put_published(folder: Path, monkeypatch, state) -> Path:
    """A file as torchvision's resnet18 would lie in `folder`, under a name with its own digest."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "x.pth")
    path = folder / f"resnet18-{file_digest(folder / 'x.pth')[:8]}.pth"
    (folder / "x.pth").rename(path)
    monkeypatch.setitem(published._FILES, "resnet18", path.name)
    return path


def test_new_weights_need_no_file(section):
    assert weights.find(section("lenet5")) is None
    assert weights.resolve(section("lenet5"), GREY) == section("lenet5")
    assert weights.normalization(section("lenet5"), GREY) == ([0.13], [0.31])


def test_the_table_of_files_is_that_of_torchvision():
    from torchvision.models import get_model_weights

    for name, file in published._FILES.items():
        assert get_model_weights(name).DEFAULT.url == f"https://download.pytorch.org/models/{file}"


@pytest.mark.parametrize("place", ["data/01_raw/weights", "mirror/weights"])
def test_published_weights_are_found_by_hand_and_in_the_mirror(section, network, root, monkeypatch, place):
    monkeypatch.setenv("FOVEA_MIRROR", str(root / "mirror"))
    (root / "mirror").mkdir()
    path = put_published(root / place, monkeypatch, network("resnet18", channels=3, image_size=224).state_dict())
    found = weights.find(section("resnet18", weights="imagenet"))
    assert found.path == root / "data/01_raw/weights" / path.name
    assert found.sha256 == file_digest(path)
    assert found.mean == (0.485, 0.456, 0.406)


def test_no_network_and_no_file_is_told_with_the_address_and_the_place(section, root):
    with pytest.raises(RunError) as caught:
        weights.find(section("resnet18", weights="imagenet"))
    assert str(caught.value) == (
        "resnet18-f37072fd.pth could not be had (https://download.pytorch.org/models/resnet18-f37072fd.pth: no "
        f"connection); put the file by hand into '{root}/data/01_raw/weights', or set FOVEA_MIRROR to a folder or "
        "address that has weights/resnet18-f37072fd.pth"
    )


def test_another_file_under_the_published_name_is_refused_with_both_digests(section, root):
    path = root / "data/01_raw/weights/resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    digest = file_digest(path)
    with pytest.raises(RunError, match=f"with sha256 {digest} instead of f37072fd, kept as resnet18-f37072fd"):
        weights.find(section("resnet18", weights="imagenet"))
    assert not path.exists()


@pytest.mark.parametrize(
    ("library", "name", "file", "url"),
    [
        (
            "timm",
            "resnet18.a1_in1k",
            "resnet18_a1_0-d63eafa0.pth",
            "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights/resnet18_a1_0-d63eafa0.pth",
        ),
        (
            "timm",
            "vit_tiny_patch16_224",
            "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors",
            "https://huggingface.co/timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k/resolve/main/model.safetensors",
        ),
        (
            "torchvision",
            "mobilenet_v3_small",
            "mobilenet_v3_small-047dcff4.pth",
            "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth",
        ),
    ],
)
def test_weights_of_the_libraries_are_where_they_publish_them(section, library, name, file, url):
    found = published.published(section(name, library=library, weights="imagenet"))
    assert (found.name, found.url) == (file, url)
    assert found.sha256 == (file.rpartition("-")[2][:8] if file.endswith(".pth") else None)


@pytest.mark.parametrize(
    ("library", "name", "sentence"),
    [
        ("timm", "resnet18.nobody", "timm has no such weights"),
        ("timm", "beit3_giant_patch14_224", "timm has no published weights of 'beit3_giant_patch14_224'"),
        ("fovea", "lenet5", "model.weights is 'imagenet' but nobody has published such weights of 'lenet5'"),
    ],
)
def test_weights_that_nobody_has_published_are_refused(section, library, name, sentence):
    with pytest.raises(UserError, match=sentence):
        weights.find(section(name, library=library, weights="imagenet"))


@pytest.mark.parametrize("form", ["safetensors", "pth", "pt", "ckpt"])
def test_a_file_of_ones_own_is_read_in_every_form(section, network, net, root, form):
    file = root / f"own.{form}"
    if form == "safetensors":
        save_file(net.state_dict(), file)
    else:
        state = {f"net.net.{name}": value for name, value in net.state_dict().items()}
        torch.save({"state_dict": state, "epoch": 3} if form == "ckpt" else net.state_dict(), file)
    found = weights.find(section("lenet5", weights=f"own.{form}", sha256=file_digest(file)[:8]))
    assert (found.path, found.sha256) == (file, file_digest(file))
    other = network("lenet5", channels=3)
    assert matching.load(other, found) == matching.Matching(f"'{file}'", tuple(net.state_dict()), {}, ())
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in other.state_dict().items())


def trained(folder: Path, net, mean, std) -> Path:
    folder.mkdir()
    save_file(NormalizedNet(net, mean, std).state_dict(), folder / "model.safetensors")
    facts = {
        "run_name": "lenet5-d-12345678",
        "model": {"library": "fovea", "name": "lenet5", "mean": None, "std": None},
        "data": {"mean": mean, "std": std},
    }
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


def test_a_trained_model_gives_its_weights_and_its_normalisation(section, network, net, root):
    folder = trained(root / "best", net, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    model = weights.resolve(section("lenet5", weights="best"), RGB)
    assert (model.mean, model.std) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    assert model.sha256 == file_digest(folder / "model.safetensors")
    other = network("lenet5", channels=3, num_classes=4)
    result = matching.load(other, weights.find(model))
    assert result.new == ("classifier.7.weight", "classifier.7.bias")
    assert result.skipped == {"classifier.7.weight": "10x84, here 4x84", "classifier.7.bias": "10, here 4"}
    assert torch.equal(other.features[0].weight, net.features[0].weight)
    with pytest.raises(UserError, match=r"another network: .* tensors fit; set model.library=fovea model.name=lenet5$"):
        matching.load(network("deep_mnist", channels=3), weights.find(model))


def test_one_channel_gets_the_sum_over_the_colours_and_the_mean_normalisation(section, network, net, root):
    trained(root / "best", net, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    model = weights.resolve(section("lenet5", weights="best"), GREY)
    assert (model.mean, model.std) == (pytest.approx([0.2]), pytest.approx([0.5]))
    grey = network("lenet5", channels=1)
    matching.load(grey, weights.find(model))
    torch.testing.assert_close(grey.features[0].weight, net.features[0].weight.sum(1, keepdim=True))


def test_grey_weights_for_colours_answer_grey_pictures_alike(network, root):
    torch.manual_seed(0)
    grey, colour = network("lenet5", channels=1), network("lenet5", channels=3)
    save_file(grey.state_dict(), root / "grey.safetensors")
    matching.load(colour, weights.WeightsFile(root / "grey.safetensors", "0", "grey"))
    pictures = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(colour.eval()(pictures.expand(-1, 3, -1, -1)), grey.eval()(pictures))


@pytest.mark.parametrize(
    ("theirs", "ours"), [("resnet34", "resnet18"), ("resnet18", "resnet34"), ("vgg16", "resnet18")]
)
def test_weights_of_another_network_are_refused_and_nothing_is_loaded(network, root, monkeypatch, theirs, ours):
    with torch.device("meta"):
        state = network(theirs, channels=3, image_size=224).state_dict()
        net = network(ours, channels=3, image_size=224)
    monkeypatch.setattr(matching, "read", lambda _: dict(state))
    monkeypatch.setattr(net, "load_state_dict", lambda *_a, **_k: pytest.fail("something was loaded"))
    with pytest.raises(
        UserError, match=r"^f holds the weights of another network: \d+ of \d+ tensors fit; set model.name"
    ):
        matching.load(net, weights.WeightsFile(root / "f.pth", "0", "f"))


def test_weights_of_another_stem_are_refused_with_the_option(network, root):
    torch.manual_seed(0)
    save_file(network("resnet18", channels=3, stem="standard").state_dict(), root / "f.safetensors")
    with pytest.raises(UserError) as caught:
        matching.load(network("resnet18", channels=3), weights.WeightsFile(root / "f.safetensors", "0", "f"))
    assert str(caught.value) == (
        "f begins with a convolution of 7x7 and the network with one of 3x3; set model.stem=standard"
    )


class _Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt"])
def test_code_in_a_file_is_refused_and_never_run(section, net, root, suffix):
    file = root / f"evil.{suffix}"
    torch.save({**net.state_dict(), "classifier.9": _Payload(root / "ran")}, file)
    found = weights.find(section("lenet5", weights=file.name))
    with pytest.raises(UserError) as caught:
        matching.load(net, found)
    assert str(caught.value) == (
        f"'{file}' holds code beside its tensors, and none of it has been run; have its publisher save the "
        "state_dict() alone, best as safetensors"
    )
    assert not (root / "ran").exists()


def test_a_whole_pickled_network_is_code_too(section, net, root):
    torch.save(torch.nn.Sequential(torch.nn.Linear(1, 1)), root / "whole.pth")
    with pytest.raises(UserError, match="holds code beside its tensors"):
        matching.load(net, weights.find(section("lenet5", weights="whole.pth")))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no tensors",
        b"PK\x03\x04 cut short",
        b"\x80\x02.",
        b"\x80\x02X\x01",
    ],  # the last two are pickles of nothing
)
def test_a_damaged_file_is_refused(section, net, root, suffix, content):
    (root / f"bad.{suffix}").write_bytes(content)
    with pytest.raises(
        UserError, match=r"bad\.(pth|safetensors)' is not a (safetensors file|file of tensors) or is damaged"
    ):
        matching.load(net, weights.find(section("lenet5", weights=f"bad.{suffix}")))


def test_a_file_without_tensors_is_refused(section, net, root):
    torch.save({"epoch": 1}, root / "empty.pth")
    with pytest.raises(UserError, match="holds no tensors by name"):
        matching.load(net, weights.find(section("lenet5", weights="empty.pth")))


def test_another_digest_than_asked_for_is_refused_with_both(section, net, root):
    save_file(net.state_dict(), root / "own.safetensors")
    digest = file_digest(root / "own.safetensors")
    with pytest.raises(UserError) as caught:
        weights.find(section("lenet5", weights="own.safetensors", sha256="0123abcd"))
    assert str(caught.value) == (
        f"'{root}/own.safetensors' has the sha256 {digest}, but model.sha256 says 0123abcd; get the right file, or set "
        "model.sha256 to its digest if it is meant to be this one"
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"weights": "imagnet"}, r"model.weights is 'imagnet' but '.*/imagnet' does not exist; set it to 'imagenet'"),
        (
            {"weights": "conf"},
            r"model.weights is 'conf' but '.*/conf' is no trained model: it has no model.safetensors",
        ),
        ({"weights": "pyproject.toml"}, r"weights are read from .safetensors, .pth, .pt, .ckpt files"),
        ({"weights": "imagenet"}, "nobody has published such weights of 'lenet5'; set model.weights=null, or take one"),
        ({"sha256": "0123abcd"}, "model.sha256 is '0123abcd' but model.weights is null"),
        ({"mean": [0.5, 0.5], "std": [0.5]}, "model.mean has 2 numbers but the data's channels are 1"),
        ({"mean": [0.5]}, "model.mean is set but model.std is not; set both or none"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(section, values, sentence):
    with pytest.raises(UserError, match=sentence):
        weights.check(section("lenet5", **values), 1)


def test_own_normalisation_wins(section):
    model = section("lenet5", mean=[0.5], std=[0.25])
    assert weights.normalization(model, GREY) == ([0.5], [0.25])


def test_a_resolved_model_has_the_stem_of_its_published_weights(section):
    model = weights.resolve(section("efficientnet_lite0", weights="imagenet"), RGB)
    assert model.stem == "standard"
    assert model.mean == [127 / 255] * 3
    assert model.std == [128 / 255] * 3
    assert model.sha256.startswith("57934424")
    assert weights.resolve(model, RGB) == model


def test_lite0_fits_timms_network_in_the_order_of_its_tensors(section, network):
    net = network("efficientnet_lite0", channels=3, num_classes=1000, image_size=224)
    found = weights.find(section("efficientnet_lite0", weights="imagenet"))
    result = matching.load(net, found)
    assert (len(result.loaded), result.skipped, result.new) == (296, {}, ())
    file = list(torch.load(found.path, weights_only=True).values())
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), file, strict=True))


def test_lite0_for_two_classes_of_one_channel_keeps_its_body(section, network):
    net = network("efficientnet_lite0", channels=1, num_classes=2, image_size=64)
    result = matching.load(net, weights.find(section("efficientnet_lite0", weights="imagenet")))
    assert result.new == ("classifier.weight", "classifier.bias")
    assert len(result.loaded) == 294


def test_lite0_does_not_go_into_another_network(section, network):
    found = weights.find(section("efficientnet_lite0", weights="imagenet"))
    with pytest.raises(UserError, match="holds the weights of another network: 0 of"):
        matching.load(network("resnet18", channels=3, image_size=224), found)


def test_a_copy_of_lite0_is_taken_as_a_file(section, network, root):
    shutil.copy(weights.find(section("efficientnet_lite0", weights="imagenet")).path, root / "copy.pth")
    net = network("tf_efficientnet_lite0", library="timm", channels=3, num_classes=1000, image_size=224)
    assert len(matching.load(net, weights.find(section("x", weights="copy.pth"))).loaded) == 296


@pytest.mark.slow
@pytest.mark.realdata
def test_lite0_knows_real_pictures_over_all_thousand_classes(section, network, real_data):
    import io
    import tarfile

    import numpy as np
    from PIL import Image
    from scipy.io import loadmat
    from timm.data import ImageNetInfo

    model = weights.resolve(section("efficientnet_lite0", weights="imagenet"), RGB)
    net = network("efficientnet_lite0", channels=3, num_classes=1000, image_size=224)
    matching.load(net, weights.find(model))
    whole = NormalizedNet(net, model.mean, model.std).eval()
    with tarfile.open(real_data / "imagenet/ILSVRC2012_devkit_t12_mini.tar.gz") as kit:
        names = kit.getnames()
        truth = next(name for name in names if name.endswith("ground_truth.txt"))
        meta = loadmat(io.BytesIO(kit.extractfile(next(n for n in names if n.endswith("meta.mat"))).read()))
        ids = [int(line) for line in kit.extractfile(truth).read().split()]
    wnids = {int(row[0][0][0][0]): str(row[0][1][0]) for row in meta["synsets"]}
    order = ImageNetInfo().label_names()
    right = []
    with tarfile.open(real_data / "imagenet/ILSVRC2012_img_val_mini.tar") as tar:
        members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        for member, label in list(zip(members, ids, strict=True))[:60]:
            picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            scale = 256 / min(picture.size)
            picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
            left, top = ((side - 224) // 2 for side in picture.size)
            pixels = torch.from_numpy(np.array(picture.crop((left, top, left + 224, top + 224)))).permute(2, 0, 1)[None]
            with torch.no_grad():
                right.append(order[int(whole(pixels).argmax())] == wnids[label])
    assert len(right) == 60
    assert sum(right) / len(right) > 0.6


@pytest.mark.parametrize(
    ("library", "name", "embedding"),
    [
        ("timm", "vit_tiny_patch16_224", "pos_embed"),
        pytest.param("torchvision", "vit_b_16", "encoder.pos_embedding", marks=pytest.mark.slow),
    ],
)
def test_position_embeddings_are_brought_to_the_size_of_the_pictures(network, root, library, name, embedding):
    torch.manual_seed(0)
    large = network(name, library=library, channels=3, image_size=64)
    small = network(name, library=library, channels=3, image_size=32)
    save_file(large.state_dict(), root / "f.safetensors")
    result = matching.load(small, weights.WeightsFile(root / "f.safetensors", "0", "f"))
    assert (result.skipped, result.new) == ({}, ())
    ours, theirs = small.state_dict()[embedding], large.state_dict()[embedding]
    assert (ours.shape[1], theirs.shape[1]) == (1 + 2 * 2, 1 + 4 * 4)
    torch.testing.assert_close(ours[:, 0], theirs[:, 0])  # that of the class token stays


def test_torchvisions_files_of_densenet_have_older_names(network, root):
    torch.manual_seed(0)
    theirs, ours = (network("densenet121", library="torchvision", channels=3, image_size=32) for _ in range(2))
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", k): v for k, v in theirs.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, root / "f.safetensors")
    result = matching.load(ours, weights.WeightsFile(root / "f.safetensors", "0", "f"))
    assert (result.skipped, result.new) == ({}, ())
