"""An integration that no dead letter is of: the command says when its id looks like a slip."""

from __future__ import annotations

from worker.broker.letter_filter import Filter
from worker.cli.did_you_mean import UnknownName, meant
from worker.cli.terminal import shown
from worker.letters.letter_desk import Pass
from worker.reasons import NO_INTEGRATION
from worker.settings import WorkerSettings


def check_spelling(chosen: Filter, run: Pass) -> None:
    """Check the id of an integration of which no dead letter was found. Raises `UnknownName` where
    the id is no letter's and no file's, and like one of these. One that is like none may be gone,
    or have no letters.
    """
    said = chosen.integration
    if said in (None, NO_INTEGRATION) or said in run.integrations:
        return
    known = run.integrations | _ids_of_files()
    one = None if said in known else meant(said, known)
    if one is not None:
        raise UnknownName(
            f"no dead letter and no file is of an integration {shown(said)}; did you mean {one}?"
        )


def _ids_of_files() -> set[str]:
    """Those of the files that can be read here, which may be none."""
    # Later: the model of the files is the most that a command imports, and few need it.
    from worker.service.registry_from_settings import build_registry  # noqa: PLC0415

    settings = WorkerSettings()
    if not settings.integrations.is_dir():
        return set()
    registry = build_registry(settings)
    registry.load()
    return {one.id for one in registry.integrations}
