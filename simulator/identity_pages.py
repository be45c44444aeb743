"""The pages that a person sees at the simulated identity provider. No script; every value is escaped."""

from collections.abc import Mapping
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem }}
body {{ color: #111; background: #fff }}
label {{ display: block; margin-top: 1rem }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; border: 1px solid #555 }}
button {{ margin-top: 1.5rem; color: #fff; background: #0b4a8f }}
:focus-visible {{ outline: 3px solid #b35900 }}
</style>
</head>
<body><main>
<h1>{title}</h1>
{content}
</main></body>
</html>
"""

_LOGIN: Final = """\
<p>This is a simulated identity provider: it believes every name.
<strong>{client}</strong> wants to know who you are.</p>
<form method="post" action="authorize">
{hidden}
<label for="user">User name</label>
<input id="user" name="user" value="{user}" required maxlength="64" autocomplete="username" autofocus>
<button type="submit">Sign in</button>
</form>
"""

_CONTINUE: Final = """\
<p>You are signed in.</p>
<form method="post" action="{action}">
{hidden}
<button type="submit" autofocus>Continue to the application</button>
</form>
"""


def login_page(client: str, user: str, request: Mapping[str, str]) -> HTMLResponse:
    """Asks for a name; the authorization request travels along in hidden fields and is checked again on return."""
    content = _LOGIN.format(client=escape(client), user=escape(user), hidden=_hidden(request))
    return _page("Sign in", content)


def form_post_page(redirect_uri: str, answer: Mapping[str, str]) -> HTMLResponse:
    """OAuth 2.0 Form Post Response Mode, with a button in place of the usual script."""
    return _page("Signed in", _CONTINUE.format(action=escape(redirect_uri), hidden=_hidden(answer)))


def error_page(problem: str) -> HTMLResponse:
    """What is said when there is nowhere safe to redirect to."""
    return _page("This request cannot be answered", f"<p>{escape(problem)}</p>", status=400)


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, content=content), status, _HEADERS)


def _hidden(fields: Mapping[str, str]) -> str:
    return "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
