"""What scripts add to the pages, and that the pages do without them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.sample_app import build_app

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(serve):
    return serve(build_app())


# Without scripts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def plain_page(open_page):
    return open_page(narrow=True, scripts=False)


def test_the_menu_opens_without_scripts(plain_page, address):
    plain_page.goto(f"{address}/sample/home_admin")
    expect(plain_page.locator("#navigation")).to_be_hidden()

    plain_page.get_by_role("button", name="Menu", exact=True).click()

    plain_page.get_by_role("link", name="Invoices").click()
    plain_page.wait_for_url(f"{address}/invoices")


def test_the_theme_is_chosen_without_scripts(plain_page, address):
    plain_page.goto(f"{address}/sample/home_admin")
    plain_page.get_by_role("button", name="your menu").click()

    with plain_page.expect_request("**/preferences/theme") as request:
        plain_page.get_by_role("button", name="Dark").click()

    assert request.value.post_data == "_csrf=sample-token&theme=dark"


def test_filters_apply_with_a_button_without_scripts(plain_page, address):
    plain_page.goto(f"{address}/invoices")
    plain_page.get_by_label("Status").select_option("paid")
    plain_page.get_by_role("button", name="Apply").click()

    plain_page.wait_for_url("**/invoices?*status=paid*")


def test_the_system_decides_on_light_and_dark_without_scripts(open_page, address):
    grounds = {}
    for theme in ("light", "dark"):
        page = open_page(theme=theme, scripts=False)
        page.goto(f"{address}/sample/home_admin")
        grounds[theme] = page.screenshot(clip={"x": 600, "y": 700, "width": 4, "height": 4})

    assert grounds["light"] != grounds["dark"]


# With scripts ---------------------------------------------------------------------------------------------------------


def test_a_filter_swaps_the_results_and_names_them_in_the_address(page, address):
    page.goto(f"{address}/invoices")
    page.evaluate("document.querySelector('h1').dataset.kept = 'yes'")

    page.get_by_label("Status").select_option("paid")
    page.wait_for_url("**/invoices?*status=paid*")

    expect(page.locator("h1")).to_have_attribute("data-kept", "yes")  # the page was not loaded anew
    expect(page.locator("#results")).to_have_count(1)


def test_the_theme_changes_at_once_and_is_told_to_the_server(page, address):
    page.goto(f"{address}/sample/home_admin")
    page.get_by_role("button", name="your menu").click()

    with page.expect_request("**/preferences/theme") as request:
        page.get_by_role("button", name="Dark").click()

    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    assert "dark" in request.value.post_data


def test_a_question_mark_shows_the_shortcuts_and_escape_hides_them(page, address):
    page.goto(f"{address}/sample/home_admin")

    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()

    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_a_slash_goes_to_the_search(page, address):
    page.goto(f"{address}/sample/home_admin")

    page.keyboard.press("/")
    page.keyboard.type("g?c")  # letters that mean something elsewhere are only typed here

    expect(page.locator("#search")).to_have_value("g?c")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_g_and_a_letter_go_to_a_page(page, address):
    page.goto(f"{address}/sample/home_admin")

    page.keyboard.press("g")
    page.keyboard.press("c")

    page.wait_for_url("**/clients")


def test_the_week_adds_up_while_hours_are_typed(page, address):
    page.goto(f"{address}/time")
    cell = page.get_by_label("Data platform, Engineering, Wed 25 Nov", exact=True)

    cell.fill("2,5")  # 2:30 with the comma of other countries

    row = page.locator("tr", has=cell)
    expect(row.locator("[data-row-total]")).to_have_text("13:30")  # 5:00 + 6:00 + 2:30
    expect(page.locator("[data-day-total='2026-11-25']")).to_have_text("2:30")
    expect(page.locator("[data-week-total]")).to_have_text("18:00")  # 15:30 + 2:30


def test_arrows_and_enter_move_through_a_day(page, address):
    page.goto(f"{address}/time")
    page.get_by_label("Data platform, Engineering, Wed 25 Nov", exact=True).focus()
    focused = page.locator("*:focus")

    page.keyboard.press("ArrowDown")
    expect(focused).to_have_attribute("aria-label", "Data platform, Workshops, Wed 25 Nov")

    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("aria-label", "Internal, Meetings, Wed 25 Nov")

    page.keyboard.press("ArrowUp")
    expect(focused).to_have_attribute("aria-label", "Data platform, Workshops, Wed 25 Nov")


def test_a_form_is_sent_once_however_often_it_is_submitted(page, address):
    page.goto(f"{address}/sample/parked")
    posts = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)

    with page.expect_navigation():
        page.evaluate(
            """() => {
                const form = document.querySelector('form[data-once]');
                form.requestSubmit();
                form.requestSubmit();
            }"""
        )
    page.wait_for_load_state("networkidle")

    assert len(posts) == 1


def test_a_connection_is_tested_in_place(page, address):
    page.goto(f"{address}/sample/connection_account")
    page.evaluate("document.querySelector('h1').dataset.kept = 'yes'")
    page.get_by_label("Client id").fill("ABC")

    with page.expect_request(lambda request: request.method == "POST") as request:
        page.get_by_role("button", name="Test connection").click()
    page.wait_for_selector("#setup [data-sent]", state="detached")

    assert 'name="action"' in request.value.post_data or "action=test" in request.value.post_data
    expect(page.locator("h1")).to_have_attribute("data-kept", "yes")
    expect(page.locator("*:focus")).to_contain_text("Company id must be digits only")


def test_a_run_that_is_under_way_is_looked_at_again(page, address):
    page.goto(f"{address}/sample/run_running")

    with page.expect_request("**/runs/*") as request:
        pass  # within the time-out of the page, without a click

    assert request.value.headers["hx-request"] == "true"


def test_a_refused_form_gets_the_focus_at_its_summary(page, address):
    page.goto(f"{address}/sample/connection_account")

    expect(page.locator("*:focus")).to_contain_text("Company id must be digits only")


def test_the_frame_mirrors_for_languages_that_run_from_right_to_left(page, address, no_sideways_scroll, screenshot):
    page.goto(f"{address}/sample/invoices?direction=rtl")

    assert page.locator(".sidebar").bounding_box()["x"] > page.locator("main").bounding_box()["x"]
    no_sideways_scroll(page)
    screenshot(page, "sample-invoices-rtl")
