"""A browser without JavaScript: reads forms and posts them as they stand."""

from html.parser import HTMLParser

import httpx

HTML = {"Accept": "text/html,application/xhtml+xml"}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((found.get("action", ""), {}))
        elif tag == "input" and self.forms and "name" in found:
            is_unchecked = found.get("type") == "checkbox" and "checked" not in found
            if not is_unchecked:
                self.forms[-1][1][found["name"]] = found.get("value", "")


def forms(page: httpx.Response) -> list[tuple[str, dict[str, str]]]:
    """The forms of a page: where they lead and what they hold."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms


def form(page: httpx.Response, action: str, **wanted: str) -> dict[str, str]:
    """The fields of the form with this action (and these values)."""
    for found, fields in forms(page):
        if found == action and wanted.items() <= fields.items():
            return dict(fields)
    raise AssertionError(f"no form leads to {action} with {wanted}")
