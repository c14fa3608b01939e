"""Every template renders from the context its comment promises, and keeps to the rules of all pages."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.web.sample_app import ROOT, build_app
from tests.web.samples import SAMPLES

TEMPLATES = [
    path
    for folder in (ROOT / "hub" / "web" / "templates", ROOT / "plugins" / "partner_portal" / "templates")
    for path in sorted(folder.rglob("*.html"))
]
ICONS = set((ROOT / "scripts" / "icons.txt").read_text().split())


class Outline(HTMLParser):
    """The elements of a page, as (tag, attributes), and its visible words."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.words += text.split()

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def client():
    app = build_app()
    app.testing = True
    return app.test_client()


@pytest.fixture(params=SAMPLES)
def html(request, client):
    answer = client.get(f"/sample/{request.param}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_a_page_shows_no_empty_value_of_the_program(html):
    assert not {"None", "Undefined", "True", "False", "[]", "{}"} & set(Outline(html).words)


def test_a_page_has_one_heading_and_one_main_part(html):
    outline = Outline(html)

    assert len(outline.all("h1")) == 1
    assert len(outline.all("main")) == 1


def test_each_id_is_there_once_and_what_refers_to_one_finds_it(html):
    elements = Outline(html).elements
    ids = Counter(attributes["id"] for _, attributes in elements if "id" in attributes)
    pointing = ("for", "aria-describedby", "aria-labelledby", "popovertarget")
    wanted = {each for _, attributes in elements for name in pointing for each in (attributes.get(name) or "").split()}

    assert [name for name, count in ids.items() if count > 1] == []
    assert wanted - ids.keys() == set()


def test_each_posted_form_carries_the_token(html):
    posting = len([form for form in Outline(html).all("form") if form.get("method") == "post"])

    assert html.count('name="_csrf"') == posting


def test_each_control_of_a_form_has_a_label(html):
    outline = Outline(html)
    labelled = {label["for"] for label in outline.all("label") if "for" in label}
    controls = [each for each in outline.all("input", "select", "textarea") if each.get("type") != "hidden"]

    assert [each for each in controls if each.get("id") not in labelled and not each.get("aria-label")] == []


def test_nothing_on_a_page_needs_more_than_the_strict_content_policy(html):
    outline = Outline(html)

    assert outline.all("style") == []
    assert [script for script in outline.all("script") if not script.get("src")] == []
    assert [
        a for _, a in outline.elements if any(name == "style" or name.startswith(("on", "hx-on")) for name in a)
    ] == []
    assert not re.search(r'(src|href|action)="(https?:)?//(?!example\.com)', html)


def test_each_element_that_htmx_drives_carries_the_nonce(html):
    outline = Outline(html)
    [nonce] = {script["nonce"] for script in outline.all("script")}
    driven = [a for _, a in outline.elements if any(name.startswith("hx-") for name in a)]

    assert [each for each in driven if each.get("hx-nonce") != nonce] == []


def test_a_page_works_without_htmx(client):
    html = build_page_without_nonce(client)

    assert "htmx" not in html
    assert "hx-get" not in html


def build_page_without_nonce(client):
    from flask import render_template

    template, context = SAMPLES["invoices"]
    with client.application.test_request_context():
        return render_template(template, **context)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_names_only_icons_that_are_vendored(path):
    named = set(re.findall(r'icon\(\s*"([a-z0-9-]+)"', path.read_text()))

    assert named - ICONS == set()


def test_each_entry_of_the_menu_has_an_icon_that_is_vendored():
    named = {
        icon
        for folder in ("hub/web", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        for icon in re.findall(r'NavigationEntry\(\s*"[^"]+",\s*"[^"]+",\s*"([^"]+)"', path.read_text())
    }

    assert "home" in named
    assert named - ICONS == set()


def test_each_state_has_an_icon_that_is_vendored():
    text = (ROOT / "hub" / "web" / "templates" / "macros" / "status.html").read_text()
    named = set(re.findall(r'\("(?:good|warn|bad|info|calm)", "([a-z0-9-]+)"', text))

    assert len(named) > 30
    assert named - ICONS == set()


def test_each_page_of_the_hub_has_a_sample():
    shown = {template for template, _ in SAMPLES.values()}
    pages = {f"pages/{path.name}" for path in TEMPLATES if path.parent.name == "pages"}

    assert pages - shown == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_on_top_what_it_is_given(path: Path):
    shared = path.parent.name == "partials" or path.name == "entrance.html"

    assert shared or path.read_text().startswith("{#")
