"""The plugin as the hub sees it."""

import importlib
import pkgutil
from uuid import uuid4

import plugins.partner_portal as partner_portal
from hub.notify.context import PluginContext
from hub.plugin_host import check_implementations

HOOKS = {
    "api_blueprints",
    "commands",
    "home_panels",
    "lineage_recorded",
    "migrations",
    "navigation",
    "page_blueprints",
    "permissions",
    "record_kinds",
}


def test_no_module_of_the_plugin_takes_the_name_of_a_hook():
    """Importing a module binds its name in the package, where the hook's function stands."""
    for module in pkgutil.iter_modules(partner_portal.__path__):
        importlib.import_module(f"plugins.partner_portal.{module.name}")
    assert set(check_implementations(partner_portal)) == HOOKS


def told(hub, **arguments):
    context = PluginContext({}, None, lambda kind, record_id: None, "event-1", None, hub.transact)
    partner_portal.lineage_recorded(**arguments, context=context)


def test_a_project_out_of_a_deal_wins_it_and_anything_else_changes_nothing(hub, story):
    deal_id, project_id = story.approved(story.north), uuid4()
    told(hub, origin_kind="invoices", origin_id=deal_id, kind="projects", record_id=project_id)
    told(hub, origin_kind="deals", origin_id=deal_id, kind="clients", record_id=project_id)
    assert story.look(deal_id) == "approved"
    told(hub, origin_kind="deals", origin_id=deal_id, kind="projects", record_id=project_id)
    told(hub, origin_kind="deals", origin_id=deal_id, kind="projects", record_id=project_id)
    assert story.look(deal_id, lambda deal: (deal.state, deal.project_id)) == ("won", project_id)


def test_lineage_of_a_deal_that_is_gone_is_no_failure(hub):
    told(hub, origin_kind="deals", origin_id=uuid4(), kind="projects", record_id=uuid4())
