"""The registry of a workspace: register, resolve, promote, roll back, verify."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from shelfcheck.config import LabelName
from shelfcheck.errors import UsageError, WorkspaceError
from shelfcheck.models.continuing import STATE
from shelfcheck.models.registry import history
from shelfcheck.models.registry.version import VERSION_FILE, Version, copy, files, number, read
from shelfcheck.models.registry.version import digest as hash_of
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.workspace import Workspace, utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.models.base import Model
    from shelfcheck.models.registry.history import Change

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
FOLDER: Final = "models"
ALIASES_FILE: Final = "aliases.json"
_HISTORY_FILE: Final = "history.jsonl"
_VERSIONS: Final = "versions"
_CARD: Final = "card.json"
_OF_EVALUATION: Final = ("evaluation.json", "held_out.parquet")
_ALIAS: Final = re.compile(rf"({CHAMPION}|{CHALLENGER})(:(?P<label>{'|'.join(get_args(LabelName))}))?")


class Registry:
    """The registered models of a workspace."""

    def __init__(self, workspace: str | Path | Workspace) -> None:
        self._home = workspace if isinstance(workspace, Workspace) else open_workspace(workspace)
        self._shelf = self._home.child(FOLDER)
        self.root = self._shelf.root
        self.place = self._shelf.place

    def __repr__(self) -> str:
        return f"Registry({self._home.place!r})"

    # Reading

    def versions(self) -> list[Version]:
        """All versions, oldest first.

        Raises:
            WorkspaceError: a version's description cannot be read.
        """
        home = self._shelf.fetch(_VERSIONS, (f"*/{VERSION_FILE}",))
        found = [read(path) for path in home.glob(f"*/{VERSION_FILE}")]
        return sorted(found, key=lambda one: (one.created, one.number, one.version))

    def aliases(self) -> dict[str, str]:
        """Alias -> version.

        Raises:
            WorkspaceError: the file of aliases cannot be read.
        """
        path = self._shelf.file(ALIASES_FILE)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise WorkspaceError(
                f"{path}: cannot be read ({error}). Remove it and promote a version again with: "
                "shelfcheck models promote VERSION"
            ) from error
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values.values()):
            raise WorkspaceError(
                f"{path}: not a mapping of aliases to versions. Remove it, and promote again."
            )
        return values

    def aliases_of(self, version: str) -> list[str]:
        """The aliases that name a version, sorted."""
        return sorted(alias for alias, name in self.aliases().items() if name == version)

    def history(self) -> list[Change]:
        """All changes, oldest first."""
        return history.read(self._shelf.file(_HISTORY_FILE))

    def stamp(self) -> object:
        """What changes when an alias does."""
        return self._shelf.stamp(ALIASES_FILE)

    def with_judgements(self) -> Path:
        """The workspace's folder on the local disk, with what every version was judged by."""
        self._shelf.fetch(_VERSIONS, (f"*/{VERSION_FILE}", *(f"*/{name}" for name in _OF_EVALUATION)))
        self.aliases()
        return self._home.root

    def resolve(self, name_or_alias: str) -> Version:
        """A version by its name or by an alias.

        Raises:
            WorkspaceError: there is none of that name; the error lists the nearest names.
        """
        aliases = self.aliases()
        name = aliases.get(name_or_alias, name_or_alias)
        if "/" not in name and name not in {"", ".", ".."}:
            path = self._shelf.fetch(f"{_VERSIONS}/{name}", (VERSION_FILE, _CARD)) / VERSION_FILE
            if path.is_file():
                return read(path)
        if name != name_or_alias:
            raise WorkspaceError(
                f"{self.place}: {name_or_alias} names {name}, which is not here. "
                "Promote another version with: shelfcheck models promote VERSION"
            )
        known = [*aliases, *(one.version for one in self.versions())]
        if not known:
            raise WorkspaceError(
                f"{self.place}: no model is registered here, so none is called {name!r}. "
                f"Register one with: shelfcheck train --workspace {self._home.place}"
            )
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
        raise WorkspaceError(
            f"{self.place}: no version or alias {name!r}. Nearest: {', '.join(close)}. "
            f"List all with: shelfcheck models list --workspace {self._home.place}"
        )

    def verify(self, version: str) -> Version:
        """Compare every file of a version with the SHA-256 that it was registered with.

        Args:
            version: its name, or an alias.

        Raises:
            WorkspaceError: a file has changed, is missing, or was added.
        """
        found = self.resolve(version)
        self._shelf.fetch(f"{_VERSIONS}/{found.version}")
        wrong = found.differences()
        if wrong:
            raise WorkspaceError(
                f"{found.folder}: not what was registered: {', '.join(wrong)}. "
                "Restore the files, or use another version: shelfcheck models rollback"
            )
        return found

    def differences(self, version: str) -> list[str]:
        """What is wrong with a version's files, as `verify` would tell; of an object store, fetched anew.

        Args:
            version: its name, or an alias.
        """
        found = self.resolve(version)
        self._shelf.fetch(f"{_VERSIONS}/{found.version}", anew=True)
        return found.differences()

    def load(self, version: str) -> tuple[Version, Model]:
        """Verify and load a version.

        Args:
            version: its name, or an alias.

        Raises:
            WorkspaceError: it is not there, was changed, or cannot be read.
        """
        from shelfcheck.models.kinds import load_model  # noqa: PLC0415 - loads NumPy

        found = self.verify(version)
        return found, load_model(found.folder)

    # Writing

    def register(
        self, model_dir: str | Path, evaluation_dir: str | Path | None, counts: Mapping[str, Any]
    ) -> Version:
        """Keep a trained model as a new version; one that is registered already is returned as it is.

        The first version becomes `champion`; the first of another label becomes `champion:<label>`.

        Args:
            model_dir: what `Model.save` wrote.
            evaluation_dir: what its evaluation wrote; None where it could not be judged.
            counts: `model`, `label`, `train_seconds`, `peak_memory_mb`, and of its evaluation `split`,
                `accuracy`, `macro_f1`, `ece`, `reviews_per_second`.

        Raises:
            WorkspaceError: the model cannot be read, or another process changes the registry.
        """
        source = Path(model_dir)
        with self._shelf.locked(), self._shelf.writing("version") as out:
            self._settle()
            own = copy(source, out, [name for name in files(source) if name != STATE])
            if _CARD not in own:
                raise WorkspaceError(f"{source}: no model here. Train one with: shelfcheck train")
            digest = hash_of(own)
            made = next((one for one in self.versions() if one.digest == digest), None)
            if made is None:
                made = self._keep(out, own, digest, evaluation_dir, counts)
            self._introduce(made)
        return made

    def _keep(
        self,
        out: Path,
        own: dict[str, str],
        digest: str,
        evaluation_dir: str | Path | None,
        counts: Mapping[str, Any],
    ) -> Version:
        """Describe what was copied, and move it to where versions are."""
        hashes = dict(own)
        if evaluation_dir is not None:
            judged = Path(evaluation_dir)
            hashes |= copy(judged, out, [name for name in _OF_EVALUATION if (judged / name).is_file()])
        kind, home = str(counts["model"]), self.root / _VERSIONS
        home.mkdir(exist_ok=True)
        last = max((number(path.name) for path in home.glob(f"{kind}-*")), default=0)
        made = Version(
            version=f"{kind}-{last + 1}",
            model=kind,
            label=str(counts["label"]),
            split=str(counts.get("split", "product")),
            created=utc_now(),
            sha256=dict(sorted(hashes.items())),
            digest=digest,
            bytes=sum((out / name).stat().st_size for name in hashes),
            train_seconds=counts["train_seconds"],
            peak_memory_mb=counts["peak_memory_mb"],
            reviews_per_second=counts.get("reviews_per_second"),
            accuracy=counts.get("accuracy"),
            macro_f1=counts.get("macro_f1"),
            ece=counts.get("ece"),
            folder=home / f"{kind}-{last + 1}",
        )
        made.write(out)
        out.rename(made.folder)
        self._shelf.keep(f"{_VERSIONS}/{made.version}", last=VERSION_FILE)
        return made

    def _introduce(self, made: Version) -> None:
        """Tell the history of a version, and make it champion if its label has none."""
        if not any(change.what == "register" and change.after == made.version for change in self.history()):
            self._record("register", None, None, made.version)
        labels = {one.version: one.label for one in self.versions()}
        aliases = self.aliases()
        served = {labels.get(name) for alias, name in aliases.items() if alias.startswith(CHAMPION)}
        if made.label not in served:
            alias = CHAMPION if CHAMPION not in aliases else f"{CHAMPION}:{made.label}"
            self._point(alias, made.version, "promote")

    def promote(self, version: str, alias: str = CHAMPION, *, force: bool = False) -> Version:
        """Let an alias name a version, after verifying it.

        Args:
            version: its name, or another alias.
            alias: `champion`, `challenger`, or one of them with a label, e.g. `champion:star_rating`.
            force: even if the alias has named versions of another label.

        Raises:
            UsageError: there is no such alias, or it stands for another label.
            WorkspaceError: there is no such version, or it was changed.
        """
        label = _label_of(alias)
        with self._shelf.locked():
            self._settle()
            found = self.verify(version)
            before = self.aliases().get(alias)
            if label is not None and label != found.label:
                raise UsageError(f"{found.version} predicts {found.label}, {alias} is for {label}.")
            served = {one.version: one.label for one in self.versions()}.get(before or "", found.label)
            if label is None and served != found.label and not force:
                raise UsageError(
                    f"{found.version} predicts {found.label}, {alias} ({before}) predicts {served}. "
                    f"Promote it with --alias {alias}:{found.label}, or with --force to replace {served}."
                )
            if before != found.version:
                self._point(alias, found.version, "promote")
        return found

    def rollback(self, alias: str = CHAMPION) -> Version:
        """Let an alias name the version again that it named before, by the history.

        Rolling back twice goes back by two promotions.

        Raises:
            UsageError: there is no such alias.
            WorkspaceError: it named no other version before, or that one was changed.
        """
        _label_of(alias)
        with self._shelf.locked():
            self._settle()
            past = history.past(self.history(), alias)
            if len(past) < 2:
                told = f"has named {past[0]} only" if past else "names no version"
                raise WorkspaceError(
                    f"{self.place}: {alias} {told}, there is nothing to go back to. "
                    "Name a version with: shelfcheck models promote VERSION"
                )
            found = self.verify(past[-2])
            self._point(alias, found.version, "rollback")
        return found

    def _point(self, alias: str, version: str, what: str) -> None:
        """Change an alias: the history first, so that no change goes without a line."""
        aliases = self.aliases()
        self._record(what, alias, aliases.get(alias), version)
        text = json.dumps(dict(sorted((aliases | {alias: version}).items())), indent=2) + "\n"
        self._shelf.write(ALIASES_FILE, text)

    def _settle(self) -> None:
        """Note a change that was recorded and then not made, because its process was killed."""
        last = {change.alias: change for change in self.history() if change.alias is not None}
        aliases = self.aliases()
        for alias, change in last.items():
            if alias is not None and change.what != "undone" and aliases.get(alias) != change.after:
                self._record("undone", alias, change.after, aliases.get(alias))

    def _record(self, what: str, alias: str | None, before: str | None, after: str | None) -> None:
        history.append(self._shelf.file(_HISTORY_FILE), what, alias, before, after)
        self._shelf.wrote(_HISTORY_FILE)


def _label_of(alias: str) -> str | None:
    """The label that an alias is for, if it says so."""
    found = _ALIAS.fullmatch(alias)
    if found is None:
        raise UsageError(
            f"alias == {alias!r}, must be {CHAMPION} or {CHALLENGER}, or one of them with a label: "
            f"{CHAMPION}:star_rating"
        )
    return found["label"]
