from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fovea.core.digest import data_digest, file_digest, kept_digest


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_file_digest_is_that_of_the_bytes(tmp_path: Path, algorithm: str) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a", algorithm) == hashlib.new(algorithm, content).hexdigest()


def test_a_kept_digest_is_read_once_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "a", []

    def seen(file: Path) -> str:
        read.append(file)
        return file_digest(file)

    monkeypatch.setattr("fovea.core.digest.file_digest", seen)
    for content in (b"one", b"one", b"other", b"other"):
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
        assert kept_digest(path) == hashlib.sha256(content).hexdigest()
    assert len(read) == 2


def test_data_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert data_digest({"a": 1, "b": [1, 2]}) == data_digest({"b": [1, 2], "a": 1})
    assert data_digest({"a": [1, 2]}) != data_digest({"a": [2, 1]})
    assert data_digest({"a": 1}) != data_digest({"a": "1"})
    assert data_digest("é") == hashlib.sha256('"é"'.encode()).hexdigest()


@pytest.mark.parametrize("value", [{1, 2}, b"x", object()])
def test_data_digest_takes_plain_data_only(value: object) -> None:
    with pytest.raises(TypeError):
        data_digest(value)


def test_data_digest_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        data_digest(float("nan"))
