"""The templates of the console's pages, and what each of them gets."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from worker.console import csrf, formats
from worker.console.access import Role
from worker.console.context import CONTEXT
from worker.console.pulse import Beat
from worker.console.sessions import Session
from worker.console.static_files import static_link

SESSION: Final = web.RequestKey("session", Session)
BEAT: Final = web.RequestKey("beat", Beat)
PAGES: Final = (
    ("/", "Overview"),
    ("/integrations", "Integrations"),
    ("/find", "Find"),
    ("/dead-letters", "Dead letters"),
    ("/explain", "Explain"),
    ("/trail", "Trail"),
)
"""What the navigation has, in its order."""


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("worker.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "number": formats.number,
        "span": formats.span,
        "rough_span": formats.rough_span,
        "plain": formats.plain,
        "with_code": formats.with_code,
        "moment": formats.moment,
        "machine_moment": formats.machine_moment,
        "clock": formats.clock,
        "integration_page": formats.integration_page,
    }
    made.globals |= {
        "static": static_link,
        "relative": formats.relative,
        "NO_BREAK": formats.NO_BREAK,
        "Role": Role,
        "nav_pages": PAGES,
        "program_version": version("consent-worker"),
    }
    return made


_TEMPLATES: Final = _environment()


def render(request: web.Request, name: str, status: int = 200, **values: Any) -> web.Response:
    """A page of the console. Templates get `values`, and `csrf`, `session`, `role`, `path`, `way`,
    `now`, `beat` and `fleet`, of which `session`, `role` and `beat` are None before somebody is
    signed in.
    """
    context = request.app[CONTEXT]
    session = request.get(SESSION)
    said = {
        "session": session,
        "role": None if session is None else session.role,
        "csrf": "" if session is None else csrf.token_for(context.secret, session.id),
        "path": request.path,
        "way": request.path_qs,
        "now": context.now_ms(),
        "beat": request.get(BEAT),
        "fleet": context.settings.namespace,
    }
    text = _TEMPLATES.get_template(name).render(said | values)
    return web.Response(text=text, status=status, content_type="text/html")


def is_asked_by_script(request: web.Request) -> bool:
    """Whether htmx asks for part of a page."""
    return request.headers.get("HX-Request") == "true"
