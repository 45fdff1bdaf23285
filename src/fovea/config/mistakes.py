"""What Hydra and YAML raise over a broken `conf/` or a wrong override, said in one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fovea.config.groups import groups
from fovea.config.overrides import Line
from fovea.core.errors import UserError, nearest


@contextmanager
def explained(conf: Path, lines: Sequence[Line], env: str | None) -> Iterator[None]:
    """Turns whatever a composition raises into a `UserError` of one sentence.

    Args:
        conf: The folder of the configuration.
        lines: The overrides that were being composed.
        env: Kedro's environment.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # Hydra raises OSError, ValueError, AttributeError and more over one and the same broken file.
        check_yaml(sorted(conf.rglob("*.yaml")), conf)
        raise UserError(_sentence(error, conf, lines, env)) from error


def check_yaml(files: Sequence[Path], conf: Path) -> None:
    """Reads files one by one.

    Raises:
        UserError: One of them cannot be read or is not a YAML mapping; the sentence names it, and the line.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import GrammarParseError
    from yaml import MarkedYAMLError, YAMLError

    for path in files:
        name = shown(path, conf)
        try:
            content = OmegaConf.load(path)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f" at line {mark.line + 1}" if mark else ""
            raise UserError(f"{name} is not valid YAML{line}: {error.problem or error.context}") from error
        except (YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{name} is not valid YAML: it holds characters that are not UTF-8 text") from error
        except GrammarParseError as error:
            raise UserError(
                f"{name}: '{error.full_key}' holds a reference that cannot be read; write ${{group.key}}"
            ) from error
        except PermissionError as error:
            raise UserError(f"{name} cannot be read: permission denied; make it readable for this user") from error
        except OSError as error:
            raise UserError(f"{name} cannot be read as YAML: {_first_line(error)}") from error
        if not isinstance(content, DictConfig):
            raise UserError(f"{name} must hold keys and values, and holds a list")


def shown(path: Path, conf: Path) -> str:
    """The path of a file of the configuration as a user knows it: ``conf/model/lenet5.yaml``."""
    return f"{conf.name}/{path.resolve().relative_to(conf.resolve())}"


def _sentence(error: Exception, conf: Path, lines: Sequence[Line], env: str | None) -> str:
    from hydra.errors import ConfigCompositionException, MissingConfigException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        return _missing_member(error, conf)
    if isinstance(error, MissingMandatoryValue):
        return f"'{error.full_key}' has no value (???); set it in conf/ or as an override: {error.full_key}=VALUE"
    if isinstance(error, OmegaConfBaseException):
        reason = _first_line(error).removeprefix("KeyError raised while resolving interpolation: ")
        return f"'{error.full_key}' holds a reference that leads nowhere: {reason}"
    unknown = _unknown_key(conf, lines, env) if isinstance(error, ConfigCompositionException) else None
    return unknown or _other(error, conf)


def _missing_member(error: Any, conf: Path) -> str:
    """A defaults list asks for a file that is not there."""
    group, _, member = (error.missing_cfg_file or "").rpartition("/")
    asked = re.match(r"In '([^']+)'", str(error))
    asking = f"{conf.name}/{asked.group(1)}.yaml" if asked else f"a file of {conf.name}/"
    known = groups(conf)
    if group in known:
        # Hydra names the root file even where an experiment's `override` asked.
        asking = next(_files_asking(conf, group, member), asking)
        return f"{asking} asks for {group} '{member}', which does not exist{nearest(member, known[group])}"
    tip = (
        f" (from inside {group.split('/')[0]}/ a group is written with a slash, as in '/model: lenet5')"
        if "/" in group
        else ""
    )
    return f"{asking} asks for '{error.missing_cfg_file}', which does not exist{nearest(group, known)}{tip}"


def _files_asking(conf: Path, group: str, member: str) -> Iterator[str]:
    line = re.compile(
        rf"^\s*-\s*(override\s+)?/?{re.escape(group)}\s*:\s*['\"]?{re.escape(member)}['\"]?\s*(#.*)?$", re.MULTILINE
    )
    for path in sorted(conf.rglob("*.yaml")):
        if line.search(path.read_text(encoding="utf-8")):
            yield shown(path, conf)


def _unknown_key(conf: Path, lines: Sequence[Line], env: str | None) -> str | None:
    """The sentence on the first override of a key that is not there; None if every key is."""
    from fovea.config.compose import compose_choices
    from fovea.config.schema.parse import show

    values = [line for line in lines if not line.is_group]
    try:
        tree = compose_choices(conf, lines, env) if values else {}
    except Exception:  # the choices themselves are what is wrong
        return None
    for line in values:
        missing = _missing_part(tree, line.key)
        if missing is None or line.text.startswith("+"):
            continue
        part, there = missing
        if line.text.startswith("~"):
            return f"'{line.key}' cannot be taken out, as it is not there{nearest(part, there)}"
        if "." not in line.key:
            return f"unknown group or key '{line.key}'{nearest(line.key, [*there, *groups(conf)])}"
        way_out = nearest(part, there) or f"; there are no keys in what stands before '{part}'"
        return f"unknown key '{line.key}' = {show(line.value)}{way_out}"
    return None


def _missing_part(tree: Any, key: str) -> tuple[str, list[str]] | None:
    """The first part of a dotted key that is not there, and the names that are there in its place; None if all are."""
    for part in key.split("."):
        if isinstance(tree, Mapping):
            if part not in tree:
                return part, [str(name) for name in tree]
            tree = tree[part]
        elif isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return part, []
    return None


def _other(error: Exception, conf: Path) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    where = re.match(r"In '([^']+)': (.*)", text)
    if where:
        override = re.match(r"Could not override '([^']+)'", where.group(2))
        if override:
            return f"{conf.name}/{where.group(1)}.yaml overrides the unknown group '{override.group(1)}'" + nearest(
                override.group(1), groups(conf)
            )
        reason = re.sub(r"\w+ raised while composing config: | full_key:.*", "", where.group(2))
        return f"{conf.name}/{where.group(1)}.yaml cannot be composed: {reason}"
    return f"{conf.name}/ cannot be composed: {text}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
