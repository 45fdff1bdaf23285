from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from fovea.core.errors import UserError
from fovea.tracking import uri


def test_config_comes_before_environment_before_default(bare_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert uri.resolve(None) == f"sqlite:///{bare_root}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://lab:5000/")
    assert uri.resolve(None) == "http://lab:5000"
    assert uri.resolve("https://other:443") == "https://other:443"


def test_default_lies_in_the_main_checkout_inside_a_dvc_copy(
    bare_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert uri.resolve(None) == f"sqlite:///{tmp_path}/main/mlflow.db"


@pytest.mark.parametrize(
    ("given", "absolute"),
    [("sqlite:///runs/my.db", "sqlite:///{root}/runs/my.db"), ("sqlite:////srv/my.db", "sqlite:////srv/my.db")],
)
def test_sqlite_is_absolute(bare_root: Path, given: str, absolute: str) -> None:
    assert uri.resolve(given) == absolute.format(root=bare_root)


@pytest.mark.parametrize(
    "given",
    [
        "./mlruns",
        "mlruns",
        "/srv/mlruns",
        "file:///srv/mlruns",
        "file:./mlruns",
        "sqlite://",
        "sqlite:///:memory:",
        "ftp://x",
    ],
)
def test_stores_that_lose_runs_are_refused_in_one_sentence(bare_root: Path, given: str) -> None:
    with pytest.raises(UserError, match=r"^tracking\.uri='") as refused:
        uri.resolve(given)
    assert "sqlite:///mlflow.db" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_refusal_names_the_environment_variable(bare_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(UserError, match=r"^MLFLOW_TRACKING_URI='\./mlruns' is not a store"):
        uri.resolve(None)


def test_passwords_are_never_shown_or_written(bare_root: Path) -> None:
    assert uri.redacted("https://me:secret@lab:5000/x") == "https://lab:5000/x"
    assert uri.portable("postgresql://me:secret@db/runs") == "postgresql://db/runs"
    assert uri.redacted("sqlite:////a@b/mlflow.db") == "sqlite:////a@b/mlflow.db"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:sec/ret@host/db", "postgresql://host/db"),
        ("postgresql://me:se@cr/et@host:5432/db", "postgresql://host:5432/db"),
        ("postgresql://me:se?cr=et@host/db?user=a@b", "postgresql://host/db"),
        ("postgresql://me:se@cr?et@host/db", "postgresql://host/db"),
        ("postgresql://me@host/db", "postgresql://host/db"),
        ("mysql+pymysql://me:s3cr/et@[::1]:3306/db", "mysql+pymysql://[::1]:3306/db"),
        ("http://me:sec/ret@lab:5000/x", "http://lab:5000/x"),
        ("https://me@corp.com:secret@lab", "https://lab"),
        ("https://lab:5000/of/me@corp.com", "https://lab:5000/of/me@corp.com"),
        ("https://[::1]:5000/a@b", "https://[::1]:5000/a@b"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("ftp://me:sec/ret@host/a", "ftp://host/a"),
        ("https://lab/?token=secret", "https://lab/"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db"),
        ("postgresql://host/db?user=me@corp&sslmode=require&sslpassword=s", "postgresql://host/db?sslmode=require"),
        ("postgresql://host/db?options=-csearch_path%3Druns", "postgresql://host/db?options=-csearch_path%3Druns"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dsecret", "mssql+pyodbc:///"),
        ("sqlite:////a@b/mlflow.db?timeout=5&key=secret", "sqlite:////a@b/mlflow.db?timeout=5"),
        ("me:secret@lab:5000", "lab:5000"),
        ("/srv/a@b/mlruns", "/srv/a@b/mlruns"),
        ("databricks", "databricks"),
    ],
)
def test_no_part_of_a_password_is_left_and_no_part_of_a_place_is_lost(given: str, shown: str) -> None:
    assert uri.redacted(given) == shown
    assert uri.redacted(shown) == shown


def test_a_store_in_memory_is_refused_without_its_password(bare_root: Path) -> None:
    with pytest.raises(UserError) as refused:
        uri.resolve("sqlite+pysqlcipher://:secret@/my.db")
    assert str(refused.value).startswith("tracking.uri='sqlite+pysqlcipher:///my.db' is a database in memory")


def test_addresses_within_a_text_lose_their_passwords() -> None:
    text = "run 'tracking.uri=postgresql://me:s/e'c@host/db?password=p' a=[https://x/y,https://me:secret@z/] seed=1"
    assert uri.without_secrets(text) == "run 'tracking.uri=postgresql://host/db' a=[https://x/y,https://z/] seed=1"
    assert uri.without_secrets("x" * 1_000_000) == "x" * 1_000_000


def test_portable_is_relative_to_the_root(bare_root: Path) -> None:
    assert uri.portable(uri.resolve(None)) == "sqlite:///mlflow.db"
    assert uri.resolve(uri.portable(uri.resolve(None))) == uri.resolve(None)
    assert uri.portable("sqlite:////srv/my.db") == "sqlite:////srv/my.db"


def test_signs_of_a_path_that_mean_something_in_a_uri_are_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "50%20 of it? #1"
    monkeypatch.setenv("DVC_ROOT", str(root))
    own = uri.resolve(None)
    assert make_url(own).database == str(root / "mlflow.db")
    assert uri.sqlite_file(own) == root / "mlflow.db"
    assert uri.resolve("sqlite:///mlflow.db") == uri.resolve(uri.portable(own)) == own


def test_artifacts_lie_beside_the_database_or_with_the_server(bare_root: Path) -> None:
    assert uri.artifact_root("sqlite:////srv/my.db") == Path("/srv/mlartifacts")
    assert uri.artifact_root("postgresql://db/runs") == bare_root / "mlartifacts"
    assert uri.artifact_root("http://lab:5000") is None
    assert uri.artifact_root("databricks") is None
