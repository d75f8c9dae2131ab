"""Writes docs/commands.md from the help of the commands themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from worker.cli.main import COMMANDS, build_app

_START, _END = "<!-- commands -->", "<!-- /commands -->"
_PROGRAM = "consent-worker"


def sections() -> str:
    """A section for each command, in Markdown."""
    root = get_command(build_app(*COMMANDS))
    return "\n\n".join(_sections(root, ())) + "\n"


def with_sections(text: str) -> str:
    """`text` with the sections between its two marks."""
    head, _, rest = text.partition(_START)
    _, _, tail = rest.partition(_END)
    return f"{head}{_START}\n\n{sections()}\n{_END}{tail}"


def _sections(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if words:
        yield _section(command, words, below)
    for name, one in below.items():
        yield from _sections(one, (*words, name))


def _section(command: Any, words: tuple[str, ...], below: dict[str, Any]) -> str:
    parameters = [one for one in command.params if "--help" not in one.opts]
    parts = [f"{'#' * (len(words) + 1)} {' '.join(words)}", str(command.help or "").strip()]
    if below:
        names = ", ".join(f"[{one}](#{'-'.join((*words, one))})" for one in below)
        parts.append(f"Its commands: {names}.")
    else:
        parts.append(f"    {' '.join((_PROGRAM, *words, *_usage(parameters)))}")
    if parameters:
        rows = (f"| {_name(one)} | {_meaning(one)} |" for one in parameters)
        parts.append("\n".join(("| | |", "|---|---|", *rows)))
    return "\n\n".join(parts)


def _usage(parameters: list[Any]) -> Iterator[str]:
    if any(one.param_type_name == "option" for one in parameters):
        yield "[OPTIONS]"
    for one in parameters:
        if one.param_type_name == "argument":
            yield _value(one) if one.required else f"[{_value(one)}]"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_value(parameter)}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    shown = ", ".join(f"`{one}`" for one in names)
    return shown if parameter.is_flag else f"{shown[:-1]} {_value(parameter)}`"


def _value(parameter: Any) -> str:
    """What stands for a value in the usage."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return "N" if parameter.type_descriptor.annotation in (int, float) else "TEXT"


def _meaning(parameter: Any) -> str:
    said = [str(parameter.help or "").replace("|", "\\|")]
    if parameter.min is not None:
        most = f" to {parameter.max:g}" if parameter.max is not None else " or more"
        said.append(f"{parameter.min:g}{most}.")
    default = parameter.default
    is_said = default not in (None, "") and default is not False
    if is_said and not parameter.required and not callable(default):
        said.append(f"By default `{default}`.")
    return " ".join(said)


if __name__ == "__main__":
    page = Path("docs/commands.md")
    page.write_text(with_sections(page.read_text()))
    sys.exit(0)
