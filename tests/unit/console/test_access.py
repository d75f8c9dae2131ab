"""Who comes in, and who may do what."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from tests.unit.console.console_parts import (
    OPERATOR,
    REVEALER,
    VIEWER,
    RunningConsole,
    running_console,
    settings_of,
    usual_check,
)
from worker.console.access import Role
from worker.console.context_from_settings import build_context
from worker.console.login_tries import TRIES, TRIES_OF_ALL, WINDOW_SECONDS, LoginTries
from worker.console.sessions import SESSION_SECONDS, Sessions
from worker.settings import UnusableSetting

PAGES = ("/", "/integrations", "/integrations/shop", "/keys", "/live", "/worst", "/no-such-page")


@pytest.mark.parametrize("page", PAGES)
async def test_nobody_sees_a_page_without_a_session(console: RunningConsole, page: str) -> None:
    answer = await console.get(page)
    assert answer.status == 303
    assert answer.way.startswith("/login")
    assert "shop" not in answer.text


async def test_only_signing_in_health_and_the_look_are_open(console: RunningConsole) -> None:
    assert (await console.get("/healthz")).text == '{"status": "ok"}'
    login = await console.get("/login")
    (style,) = re.findall(r'rel="stylesheet" href="([^"]+)"', login.text)
    assert (await console.get(style)).status == 200
    assert "shop" not in login.text
    assert (await console.post("/integrations/shop/check")).status == 401


@pytest.mark.parametrize(
    ("key", "word"), [(VIEWER, "viewer"), (OPERATOR, "operator"), (REVEALER, "revealer")]
)
async def test_a_key_gives_its_role(console: RunningConsole, key: str, word: str) -> None:
    await console.sign_in(key)
    page = await console.get("/")
    assert page.status == 200
    assert f'<span class="role">{word}</span>' in page.text


@pytest.mark.parametrize(
    "key", ["", "wrong-key-of-somebody", VIEWER[:-1], VIEWER.upper(), "x" * 5000]
)
async def test_a_wrong_key_gives_nothing(console: RunningConsole, key: str) -> None:
    answer = await console.post("/login", {"key": key})
    assert answer.status == 403
    assert "4 tries left" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert not key or key not in answer.text


async def test_who_guesses_has_to_wait_and_locks_nobody_out(console: RunningConsole) -> None:
    for _ in range(TRIES):
        assert (await console.post("/login", {"key": "wrong"})).status == 403
    for guess in ("wrong", "", VIEWER[:-1]):
        answer = await console.post("/login", {"key": guess})
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= WINDOW_SECONDS + 1
        assert "Set-Cookie" not in answer.headers
    await console.sign_in(OPERATOR)
    assert (await console.get("/")).status == 200


async def test_guessers_of_many_addresses_lock_nobody_out(console: RunningConsole) -> None:
    for number in range(TRIES_OF_ALL):
        console.context.tries.failed(f"192.0.2.{number}")
    assert (await console.post("/login", {"key": "wrong"})).status == 429
    await console.sign_in(VIEWER)
    assert (await console.get("/")).status == 200


def test_tries_come_back_and_are_bounded_for_all_addresses_together() -> None:
    now = 100.0
    tries = LoginTries(lambda: now)
    for _ in range(TRIES):
        tries.failed("a")
    assert (tries.left("a"), tries.left("b")) == (0, TRIES)
    assert tries.wait_seconds("a") == WINDOW_SECONDS
    now += WINDOW_SECONDS
    assert tries.left("a") == TRIES
    for number in range(TRIES_OF_ALL):
        tries.failed(f"address-{number}")
    assert tries.left("another") == 0
    assert tries.wait_seconds("another") == WINDOW_SECONDS


async def test_the_cookie_is_for_this_console_alone(console: RunningConsole) -> None:
    for host, proto, name, is_secure in (
        ("localhost", "", "consent-console", False),
        ("localhost", "http", "consent-console", False),
        ("console.example", "", "__Host-consent-console", True),
        ("127.0.0.1:8090", "https", "__Host-consent-console", True),
        ("127.0.0.1:8090", "HTTPS, http", "__Host-consent-console", True),
    ):
        headers = {"Host": host, "X-Forwarded-Proto": proto}
        answer = await console.post("/login", {"key": VIEWER}, headers=headers)
        cookie = SimpleCookie(answer.headers["Set-Cookie"])[name]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert bool(cookie["secure"]) is is_secure
        assert cookie["domain"] == ""
        assert int(cookie["max-age"]) == SESSION_SECONDS


async def test_behind_a_proxy_with_tls_that_passes_no_host_one_is_signed_in_and_out(
    console: RunningConsole,
) -> None:
    by_tls = {"X-Forwarded-Proto": "https"}
    answer = await console.post("/login", {"key": VIEWER}, headers=by_tls)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])["__Host-consent-console"].value
    shown = by_tls | {"Cookie": f"__Host-consent-console={cookie}"}
    page = await console.get("/keys", headers=shown)
    assert page.status == 200
    token = page.text.partition('data-csrf="')[2].partition('"')[0]
    await console.post("/logout", {"csrf": token}, headers=shown)
    assert (await console.get("/keys", headers=shown)).status == 303


def _cookie_of(console: RunningConsole) -> str:
    (cookie,) = list(console.http.cookie_jar)
    return cookie.value


async def _with_cookie(console: RunningConsole, value: str) -> int:
    console.http.cookie_jar.clear()
    return (await console.get("/", headers={"Cookie": f"consent-console={value}"})).status


async def test_a_cookie_that_is_forged_cut_or_of_another_console_is_none(
    console: RunningConsole, tmp_path: Path
) -> None:
    await console.sign_in(VIEWER)
    value = _cookie_of(console)
    assert await _with_cookie(console, value) == 200
    _, other = Sessions(b"another secret", console.clock, console.context.memory).begin(
        Role.REVEALER
    )
    head, _, signature = value.rpartition(".")
    for forged in (
        value[:-1],
        f"{value}x",
        f"{head}.",
        f".{signature}",
        f"e30.{signature}",
        other,
        "",
        "\u00e4\u00f6",
        "a" * 100_000,
    )[:8]:
        assert await _with_cookie(console, forged.encode("ascii", "replace").decode()) == 303
    assert await _with_cookie(console, "a" * 4000) == 303


async def test_a_session_ends_after_a_shift_and_before_a_clock_that_went_back(
    console: RunningConsole,
) -> None:
    await console.sign_in()
    console.clock.moved_ms = SESSION_SECONDS * 1000 - 5_000
    assert (await console.get("/keys")).status == 200
    console.clock.moved_ms = SESSION_SECONDS * 1000 + 5_000
    assert (await console.get("/keys")).status == 303
    console.clock.moved_ms = -3_600_000
    assert (await console.get("/keys")).status == 303


async def test_signing_out_ends_every_copy_of_the_cookie(console: RunningConsole) -> None:
    await console.sign_in()
    value = _cookie_of(console)
    answer = await console.post("/logout", {"csrf": await console.csrf()})
    assert (answer.status, answer.way) == (303, "/login")
    assert await _with_cookie(console, value) == 303


@pytest.mark.parametrize("token", ["", "0" * 64, "\u2603", None])
async def test_a_form_without_its_token_does_nothing(
    console: RunningConsole, token: str | None
) -> None:
    await console.sign_in(OPERATOR)
    form = {} if token is None else {"csrf": token}
    assert (await console.post("/integrations/shop/check", form)).status == 403
    assert (await console.post("/logout", form)).status == 403
    assert console.context.checks.last("shop") is None
    assert (await console.get("/keys")).status == 200, "still signed in"


async def test_the_token_of_one_session_is_worth_nothing_to_another(
    console: RunningConsole,
) -> None:
    await console.sign_in(OPERATOR)
    token = await console.csrf()
    await console.sign_in(OPERATOR)
    assert (await console.post("/integrations/shop/check", {"csrf": token})).status == 403


async def test_a_form_of_another_site_does_nothing(console: RunningConsole) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert (await console.post("/login", {"key": VIEWER}, headers=elsewhere)).status == 403
    await console.sign_in(OPERATOR)
    form = {"csrf": await console.csrf()}
    answer = await console.post("/integrations/shop/check", form, headers=elsewhere)
    assert answer.status == 403


async def test_a_viewer_may_not_act_and_an_operator_may(console: RunningConsole) -> None:
    await console.sign_in(VIEWER)
    form = {"csrf": await console.csrf()}
    refused = await console.post("/integrations/shop/check", form)
    assert refused.status == 403
    assert "Your key may not do this" in refused.text
    assert console.context.checks.last("shop") is None
    await console.sign_in(OPERATOR)
    form = {"csrf": await console.csrf()}
    allowed = await console.post("/integrations/shop/check", form)
    assert (allowed.status, allowed.way) == (303, "/integrations/shop#check")
    assert console.context.checks.last("shop") is not None


@pytest.mark.parametrize(
    ("way", "leads_to"),
    [
        ("/integrations/shop", "/integrations/shop"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%0d%0aSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
async def test_signing_in_leads_to_a_page_of_the_console(
    console: RunningConsole, way: str, leads_to: str
) -> None:
    answer = await console.post("/login", {"key": VIEWER, "next": way})
    assert (answer.status, answer.way) == (303, leads_to)


async def test_a_proxy_is_believed_by_its_address_alone(console: RunningConsole) -> None:
    home = console.context.settings.integrations.parent
    said = {"X-Console-User": "operator night-shift"}
    for address, status in (("127.0.0.1", 200), ("10.1.2.3", 303)):
        async with running_console(
            home, console_proxy_address=address, console_proxy_header="X-Console-User"
        ) as behind:
            page = await behind.get("/", headers=said)
            assert page.status == status
            assert ("night-shift, operator" in page.text) is (status == 200)
            assert (await behind.get("/")).status == 303, "the proxy says nobody"
    assert (await console.get("/", headers=said)).status == 303, "no proxy is set"


@pytest.mark.parametrize(
    "said",
    [
        "admin",
        "",
        "operator anna@example.com",
        "operator <script>",
        "OPERATOR x",
        "operator " + "x" * 200,
    ],
)
async def test_what_a_proxy_says_is_a_role_and_a_short_name(
    console: RunningConsole, said: str
) -> None:
    home = console.context.settings.integrations.parent
    async with running_console(
        home, console_proxy_address="127.0.0.1", console_proxy_header="X-Console-User"
    ) as behind:
        page = await behind.get("/", headers={"X-Console-User": said})
        assert page.status == 403
        assert "example.com" not in page.text


async def test_behind_a_proxy_forms_need_their_token_too(console: RunningConsole) -> None:
    home = console.context.settings.integrations.parent
    said = {"X-Console-User": "operator night-shift"}
    async with running_console(
        home, console_proxy_address="127.0.0.1", console_proxy_header="X-Console-User"
    ) as behind:
        assert (await behind.post("/integrations/shop/check", headers=said)).status == 403
        page = await behind.get("/keys", headers=said)
        token = page.text.partition('data-csrf="')[2].partition('"')[0]
        answer = await behind.post("/integrations/shop/check", {"csrf": token}, headers=said)
        assert answer.status == 303


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            dict.fromkeys(
                ("console_viewer_key", "console_operator_key", "console_revealer_key"),
                SecretStr(""),
            ),
            "the console has no key",
        ),
        ({"console_operator_key": SecretStr(VIEWER)}, "the same key"),
        ({"console_proxy_address": "10.0.0.1"}, "belong together"),
        ({"ledger_url": SecretStr("")}, "CONSENT_WORKER_LEDGER_URL"),
    ],
)
def test_the_console_does_not_start_open_or_without_a_ledger(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(UnusableSetting, match=told) as refused:
        build_context(settings_of(tmp_path, **changes), usual_check)
    assert VIEWER not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("console_viewer_key", SecretStr("short")),
        ("console_viewer_key", SecretStr("x" * 31)),
        ("console_operator_key", SecretStr("has a space in its middle, and many characters")),
        ("console_viewer_key", SecretStr(VIEWER + "\n")),
        ("console_operator_key", SecretStr("\t" + OPERATOR)),
        ("console_revealer_key", SecretStr(OPERATOR + "\x00")),
        ("console_proxy_address", "proxy.example"),
        ("console_proxy_header", "X Console"),
        ("console_port", 70_000),
    ],
)
def test_what_can_not_be_a_setting_is_refused_by_name(
    tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(tmp_path, **{name: value})
    assert refused.value.errors(include_input=False)[0]["loc"] == (name,)


async def test_another_key_ends_the_sessions_that_were(console: RunningConsole) -> None:
    await console.sign_in()
    value = _cookie_of(console)
    home = console.context.settings.integrations.parent
    async with running_console(home) as same:
        assert await _with_cookie(same, value) == 200, "a restart ends none"
    async with running_console(
        home, console_viewer_key=SecretStr("another-key-of-the-tests-0123456789")
    ) as other:
        assert await _with_cookie(other, value) == 303


async def test_who_has_signed_out_is_out_at_each_console_and_after_a_restart(
    console: RunningConsole, tmp_path: Path
) -> None:
    await console.sign_in(OPERATOR)
    value = _cookie_of(console)
    async with running_console(tmp_path) as beside:
        assert await _with_cookie(beside, value) == 200
        await console.post("/logout", {"csrf": await console.csrf()})
        assert await _with_cookie(beside, value) == 303
    async with running_console(tmp_path) as later:
        assert await _with_cookie(later, value) == 303


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "application/x-www-form-urlencoded; charset=x"]
)
async def test_what_is_no_form_is_not_understood(console: RunningConsole, kind: str) -> None:
    async with console.http.post(
        f"{console.url}/login", data=b"key=1", headers={"Content-Type": kind}
    ) as answer:
        assert answer.status == 400
