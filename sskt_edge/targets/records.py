"""The records of a run or a study, such as result.json: JSON files whose hash is checked when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sskt_edge.common import seal
from sskt_edge.common.errors import RunError
from sskt_edge.common.files import read_regular, write_atomically
from sskt_edge.recipe.load import parse_run_recipe, run_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.run_layout import RunFolder

_VERSION = "schema_version"  # records of version 1 have neither this key nor a hash
NEWEST = 2

Record = TypeVar("Record", bound=BaseModel)


def write_record(path: Path, record: BaseModel, version: int = NEWEST) -> None:
    """Write a record atomically.

    Args:
        path: the file.
        record: the record to write.
        version: the version of its schema.

    Raises:
        StorageError: it cannot be written; an earlier file stays intact.
    """
    # The version comes last. A record without both the version and the hash would pass as one of an older version, and
    # no single cut removes both.
    write_atomically(path, seal.sealed_json({**record.model_dump(mode="json"), _VERSION: version}))


def read_record(
    path: Path,
    kind: type[Record],
    todo: str,
    version: int = NEWEST,
    today_from_older: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Record:
    """Read a record. Its own hash is checked first; a record of version 1 carries none.

    Args:
        path: the file.
        kind: the record's model.
        todo: a sentence that tells the user what to do about a broken record.
        version: the current version of its schema.
        today_from_older: converts the values of an older version to the current one; by default they stay as they are.

    Raises:
        RunError: the file is missing, broken, was changed, or has a newer version.
    """
    try:
        raw, carries_hash = seal.unsealed_json(read_regular(path))
        found = raw.pop(_VERSION, None) if isinstance(raw, dict) else None
        if isinstance(found, int) and found > version:
            raise RunError(
                f"'{path}' was written by a newer sskt-edge (schema version {found}; this one reads up to {version}). "
                "Upgrade: pip install --upgrade sskt-edge."
            )
        if found is not None and not carries_hash:
            raise RunError(f"'{path}' cannot be trusted: {seal.LOST}. {todo}")
        if today_from_older is not None and isinstance(raw, dict) and found != version:
            raw = today_from_older(raw)
        return kind.model_validate(raw)
    except OSError as error:
        raise RunError(f"'{path}' cannot be read: {error.strerror}. {todo}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(f"'{path}' is broken: {where}: {first['msg']}. {todo}") from error
    except seal.BrokenSealError as error:
        raise RunError(f"'{path}' cannot be trusted: {error}. {todo}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"'{path}' is broken: it is not JSON: {error}. {todo}") from error


def read_recipe(folder: RunFolder, sha256: str | None) -> Recipe:
    """The recipe of a run. If `sha256` is given, the file must have this hash.

    Raises:
        RunError: the file was changed.
        RecipeError: it is not a valid recipe.
    """
    if sha256 is None:
        return run_recipe(folder.recipe)
    content = folder.recipe.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RunError(
            f"'{folder.recipe}' was changed after the run was started: its SHA-256 differs. Put the original back, or "
            "train again; to export with other values, use --set."
        )
    return parse_run_recipe(content.decode(), where=str(folder.recipe))
