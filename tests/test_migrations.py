"""The schema's branches: the core's and the plugins', each going its own way."""

import plugins.partner_portal as partner_portal
from hub.migrations import check, upgrade


def test_a_new_database_is_as_the_program_says(make_hub):
    assert check(make_hub()) == []


def test_a_plugin_brings_its_tables(make_hub):
    assert check(make_hub({"partner_portal": partner_portal})) == []


def test_a_plugin_that_is_new_is_said_to_be_behind_and_is_brought_up(make_hub):
    make_hub()
    with_plugin = make_hub({"partner_portal": partner_portal})
    assert check(with_plugin) == ["The schema is behind for partner_portal. Run `hub db upgrade`."]
    upgrade(with_plugin)
    assert check(with_plugin) == []


def test_a_plugin_that_is_gone_keeps_its_tables_and_stops_nothing(make_hub):
    make_hub({"partner_portal": partner_portal})
    without = make_hub()
    upgrade(without)
    assert check(without) == []
    assert check(make_hub({"partner_portal": partner_portal})) == []
