"""Settings on disk: which file holds, what overrides it, and how settings are written."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.config import Settings, flatten, validate
from shelfcheck.errors import ConfigError, UsageError
from shelfcheck.urls import is_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT_FILE: Final = "shelfcheck.toml"
REMEMBERED_FILE: Final = "settings.toml"


@dataclass(frozen=True)
class Resolved:
    """Settings, and where each that is not a default comes from.

    Attributes:
        settings: what holds.
        origins: dotted key -> `--set`, or the file's name.
    """

    settings: Settings
    origins: dict[str, str]


def resolve(
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    workspace: str | Path | None = None,
) -> Resolved:
    """Find the settings that hold.

    From weak to strong: defaults; what the workspace remembers from its last `run` or `prepare`;
    `config`, or else `shelfcheck.toml` in the current folder; `overrides`.

    Args:
        config: a TOML file.
        overrides: dotted key -> value, e.g. `{"train.linear.epochs": 3}`; None is ignored.
        workspace: a workspace whose remembered settings count.

    Raises:
        ConfigError: a file is missing or not TOML, or values are wrong.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if config is None and Path(DEFAULT_FILE).exists():
        config = DEFAULT_FILE
    for file, text in (_remembered(workspace), _given(config)):
        for key, value in _leaves(_parsed(text, file)):
            _set(values, key, value)
            origins[key] = file
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(values, key, value)
            origins[key] = "--set"
    sources = sorted(set(origins.values()))
    return Resolved(validate(values, ", ".join(sources) or "settings"), origins)


def remember(settings: Settings) -> str:
    """The text that makes later commands of a workspace use these settings."""
    changed = "\n".join(render(settings, only_changed=True))
    return f"# Written by shelfcheck: the settings of the last run.\n{changed}\n"


def render(
    settings: Settings,
    origins: Mapping[str, str] | None = None,
    *,
    only_changed: bool = False,
    comments: bool = False,
) -> Iterator[str]:
    """Yield the lines of a TOML file with these settings.

    Args:
        settings: what to write.
        origins: where values come from, told behind them.
        only_changed: leave out what is a default.
        comments: write each setting's description above it.
    """
    defaults = {key: value for key, value, _ in flatten(Settings())}
    section = ""
    for key, value, description in _by_section(settings):
        if only_changed and value == defaults[key]:
            continue
        head, _, name = key.rpartition(".")
        if head != section:
            if section:
                yield ""
            yield f"[{head}]"
            section = head
        if comments and description:
            yield f"# {description}"
        origin = (origins or {}).get(key)
        told = f"  # from {origin}" if origin else ""
        # TOML has no null: an unset value stands as a comment.
        yield f"# {name} = (unset){told}" if value is None else f"{name} = {_toml(value)}{told}"


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Overrides from `key=value` texts; values are TOML, bare words are taken as text.

    Raises:
        UsageError: an assignment has no `=` or no key.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {assignment}: write key=value, e.g. --set train.linear.epochs=3")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        overrides[key.strip()] = value
    return overrides


def _by_section(settings: Settings) -> list[tuple[str, Any, str]]:
    # A TOML table must be whole before the next begins, so plain keys go before nested sections.
    return sorted(flatten(settings), key=lambda item: _order(item[0]))


def _order(key: str) -> tuple[int, int, str]:
    top = list(Settings.model_fields).index(key.split(".", 1)[0])
    return top, key.count("."), key.rpartition(".")[0]


def _remembered(workspace: str | Path | None) -> tuple[str, str]:
    """The file of settings that a workspace remembers, and its text; empty where there is none."""
    if workspace is not None and is_store(str(workspace)):
        return _stored(str(workspace).rstrip("/"), REMEMBERED_FILE) or ("", "")
    if workspace is None or not (Path(workspace) / REMEMBERED_FILE).exists():
        return "", ""
    return _given(Path(workspace) / REMEMBERED_FILE)


def _stored(home: str, name: str) -> tuple[str, str] | None:
    """A file of an object store, and its text; None where there is none."""
    from shelfcheck.stores import open_store  # noqa: PLC0415 - an extra, and slow to load

    found = open_store(home).get(name)
    return None if found is None else (f"{home}/{name}", found.data.decode(errors="replace"))


def _given(config: str | Path | None) -> tuple[str, str]:
    if config is None:
        return "", ""
    home, _, name = str(config).rpartition("/")
    if is_store(home):
        stored = _stored(home, name)
        if stored is None:
            raise ConfigError(f"{config}: no such file. Check the URL.")
        return stored
    try:
        return str(config), Path(config).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{config}: no such file. You can write one by running: shelfcheck config > {config}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config}: cannot be read as TOML: {error}") from error


def _parsed(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: cannot be read as TOML: {error}") from error


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        # `source.columns` is itself a mapping from column to column.
        if isinstance(value, dict) and value and key != "source.columns":
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _set(values: dict[str, Any], key: str, value: object) -> None:
    *path, name = key.split(".")
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{key}: {part} is a setting, not a section")
    values[name] = value


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # JSON's escapes are TOML's; DEL alone is bare in one and forbidden in the other.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
