"""What people see of a provider: the page on which they approve a login."""

from html import escape

_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
{body}
"""
_FORM = """<form method="post">
<p><label>Code <input name="user_code" value="{user_code}" autofocus required></label></p>
<p><label>User <input name="username" value="alice" required></label></p>
<p><button name="action" value="approve">Approve</button> <button name="action" value="deny">Deny</button></p>
</form>"""


def device_page(user_code: str) -> str:
    """Return the page that asks for the code of a login."""
    return _PAGE.format(title="Device login", body=_FORM.format(user_code=escape(user_code)))


def message_page(title: str, text: str) -> str:
    """Return a page with one sentence."""
    return _PAGE.format(title=escape(title), body=f"<p>{escape(text)}</p>")
