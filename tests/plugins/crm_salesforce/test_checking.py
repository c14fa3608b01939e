from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from hub.sdk import ConfigurationFailure, Status, TemporaryFailure
from plugins import crm_salesforce
from plugins.crm_salesforce import Salesforce
from plugins.crm_salesforce import connector as connector_module
from plugins.crm_salesforce.sandbox import SalesforceSandbox
from tests.plugins.crm_salesforce.connecting import Deal, connect, context, push
from tests.plugins.crm_salesforce.test_settings import KEY


def check(server, **changes):
    return Salesforce(context({**server.settings, **changes})).check()


def text(result, name):
    return next(finding.text for finding in result.findings if finding.name == name)


def test_a_check_says_who_we_are_there_and_writes_nothing(stand_in):
    server = stand_in(organization="Northwind")
    result = check(server)
    assert result.ok
    assert (result.account_name, result.environment) == ("Northwind", "sandbox")
    assert result.account_id.startswith("00D") and len(result.account_id) == 18
    assert text(result, "organization").endswith("as hub@example.com, API version 66.0")
    assert text(result, "stage") == "Registered deals start in the stage “Prospecting”"
    assert text(result, "currency") == "One currency, USD"
    assert "API calls of a day are left" in text(result, "API calls")
    assert server.sandbox.effects() == []


def test_a_user_with_a_private_key_is_let_in_by_its_certificate(stand_in, tmp_path):
    file = tmp_path / "certificate.pem"
    file.write_bytes(certificate_of(KEY))
    signed = {"client_secret": None, "username": "hub@example.com", "private_key": KEY}
    assert check(stand_in(certificate=str(file)), **signed).ok


def certificate_of(key_pem):
    """A self-signed certificate, as an admin uploads it to the connected app."""
    key = load_pem_private_key(key_pem.encode(), None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_currencies_of_a_multi_currency_org_are_listed(stand_in):
    assert text(check(stand_in(currencies=("USD", "EUR"))), "currency") == "Several currencies: EUR, USD"


def test_missing_objects_and_fields_name_what_is_lost(stand_in):
    result = check(stand_in(missing=("Contact", "Account.Website", "Opportunity.IsWon")))
    assert not result.ok
    assert text(result, "Contact") == "Contact cannot be read: contacts are not pulled"
    assert text(result, "deals") == "Deals are not sent: Opportunity has no IsWon"
    assert text(result, "Opportunity") == "Opportunity has no IsWon: projects are not pulled, and deals are not sent"
    assert text(result, "Account.Website").startswith("Website cannot be read: clients have no website")


def test_a_missing_key_field_is_a_hint_not_a_fault(stand_in):
    result = check(stand_in(hub_id_field=False))
    assert result.ok
    hint = next(finding for finding in result.findings if finding.name == "key field")
    assert "Hub_Id__c is missing on Account, Opportunity" in hint.text
    assert hint.remedy


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("not_external", "is no external id"),
        ("not_unique", "is not unique"),
        ("short", "holds 36 characters where 42 are needed"),  # "deals:" and a UUID: 6 + 36
        ("read_only", "cannot be filled by the integration user and cannot be changed by the integration user"),
        ("area", "is no text field"),
    ],
)
def test_a_key_field_that_cannot_be_trusted_is_named_and_gone_without(stand_in, flaw, said):
    server = stand_in(seed="empty", hub_id_field=flaw)
    result = check(server)
    assert result.ok
    hints = [finding for finding in result.findings if finding.name == "key field"]
    assert [hint.text.partition(":")[0] for hint in hints] == [
        f"Hub_Id__c of {name} {said}" for name in ("Account", "Opportunity")
    ]
    assert all("42 characters or more, external id, unique" in hint.remedy for hint in hints)
    connector = connect(server, facts=result.facts)
    assert not any(stream.keyed for stream in connector.streams)
    outcome = push(connector, Deal())["1"]
    assert outcome.status == Status.CREATED
    assert server.sandbox.state["rows"]["Opportunity"][outcome.remote_id]["Hub_Id__c"] is None


def test_a_key_field_that_heeds_case_is_as_good(stand_in):
    server = stand_in(seed="empty", hub_id_field="case_sensitive")
    connector, deal = connect(server), Deal()
    assert push(connector, deal)["1"].remote_id == push(connector, deal)["1"].remote_id


def test_fields_that_are_seen_but_not_open_are_named_and_left_out(stand_in):
    server = stand_in(seed="empty", closed=("Opportunity.Description", "Account.Website"))
    result = check(server)
    assert result.ok
    assert text(result, "Opportunity.Description").endswith("cannot be filled: deals go without it")
    outcome = push(connect(server, facts=result.facts), Deal())["1"]
    assert outcome.status == Status.CREATED
    assert server.sandbox.state["rows"]["Opportunity"][outcome.remote_id]["Description"] is None


def test_an_amount_whose_currency_cannot_be_said_is_left_out(stand_in):
    server = stand_in(seed="empty", currencies=("USD", "EUR"), closed=("Opportunity.CurrencyIsoCode",))
    result = check(server)
    assert text(result, "Opportunity.CurrencyIsoCode").endswith("deals go without their amount")
    outcome = push(connect(server, facts=result.facts), Deal(currency="EUR"))["1"]
    assert server.sandbox.state["rows"]["Opportunity"][outcome.remote_id]["Amount"] is None


@pytest.mark.parametrize(
    ("closed", "name", "said"),
    [
        ("Opportunity:create", "deals", "Deals are not sent: the integration user may not create opportunities"),
        ("Opportunity.StageName", "deals", "Deals are not sent: the integration user may not fill StageName"),
        ("Opportunity:edit", "deals", "Changed deals are not sent: the integration user may not edit opportunities"),
        ("Account:create", "accounts", "Deals go to accounts that are there, and to no others"),
    ],
)
def test_what_may_not_be_written_names_what_is_lost(stand_in, closed, name, said):
    result = check(stand_in(closed=(closed,)))
    assert not result.ok
    assert text(result, name).startswith(said)


@pytest.mark.parametrize("missing", ["OpportunityStage", "CurrencyType", "User", "Organization"])
def test_what_only_helps_the_check_does_not_end_it(stand_in, missing):
    server = stand_in(currencies=("USD", "EUR"), missing=(missing,))
    result = check(server, deal_stage="Proposal")
    assert text(result, "currency") == "Several currencies: EUR, USD"
    assert "“Proposal”" in text(result, "stage")


def test_a_user_who_may_not_ask_for_the_limits_reads_them_from_any_answer(stand_in):
    server = stand_in(daily_calls=1000)
    refusal = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}]
    server.sandbox.add_fault(path="*/limits", status=403, body=refusal)
    assert text(check(server), "API calls").endswith("of 1,000 API calls of a day are left")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_id": "wrong"}, "client_id"),
        ({"client_secret": "wrong"}, "client_secret"),
        ({"api_version": "69.0"}, "api_version"),
        ({"deal_stage": "Closed Won"}, "deal_stage"),
        ({"client_secret": None, "username": "someone@example.com", "private_key": KEY}, "private_key"),
    ],
)
def test_a_wrong_setting_is_named(stand_in, changes, field):
    with pytest.raises(ConfigurationFailure) as failure:
        check(stand_in(), **changes)
    assert failure.value.field == field


def test_a_host_that_is_not_salesforce_is_named(stand_in):
    server = stand_in()
    server.sandbox.add_fault(path="/services/oauth2/token", status=200, body="<html>a web shop</html>")
    with pytest.raises(ConfigurationFailure) as failure:
        check(server)
    assert failure.value.field == "login_url"


def test_a_host_that_is_not_there_names_the_setting():
    with SalesforceSandbox().serve() as server:
        settings = server.settings
    with pytest.raises(TemporaryFailure, match="setting login_url"):
        Salesforce(context(settings)).check()


def test_a_host_that_hangs_is_given_up(stand_in, monkeypatch):
    monkeypatch.setattr(connector_module, "CHECK_S", 0.3)
    server = stand_in()
    server.sandbox.add_fault(path="/services/*", delay_s=1.5, times=2)
    with pytest.raises(TemporaryFailure):
        check(server)


def test_a_restricted_lead_source_without_ours_is_left_empty(stand_in):
    server = stand_in()
    described = server.sandbox.full_schema["Opportunity"].describe()
    for field in described["fields"]:
        if field["name"] == "LeadSource":
            field |= {"restrictedPicklist": True, "picklistValues": [{"value": "Web", "active": True}]}
    server.sandbox.add_fault(path="*/Opportunity/describe", status=200, body=described)
    assert "LeadSource" not in check(server).facts["fields"]["Opportunity"]
    assert "LeadSource" in check(server).facts["fields"]["Opportunity"]


def test_another_stage_may_be_set(stand_in):
    assert "“Proposal”" in text(check(stand_in(), deal_stage="Proposal"), "stage")


def test_every_check_signs_in_anew(stand_in):
    """A stored session would hide that the credentials have stopped working."""
    server = stand_in()
    connector = Salesforce(context(server.settings))
    connector.check()
    connector.check()
    assert server.sandbox.calls()["token"] == 2


def test_the_plugin_offers_its_connector_and_its_sandbox():
    assert crm_salesforce.connectors() == [Salesforce]
    (spec,) = crm_salesforce.sandboxes()
    assert spec.name == "salesforce"
    assert spec.create(state_file=None, seed="empty").schema["Account"].name == "Account"


def test_importing_the_plugin_loads_no_heavy_library():
    code = "import sys, plugins.crm_salesforce; print({'simple_salesforce', 'jwt', 'werkzeug'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_streams_are_declared_parents_first_and_conditions_explain_themselves():
    assert [stream.kind for stream in Salesforce.streams] == ["clients", "contacts", "projects", "deals"]
    for stream in Salesforce.streams:
        assert stream.lookback_s > 0
        fields = stream.conditions().fields.values() if stream.conditions else ()
        assert all(field.metadata["title"] and field.metadata["help"] for field in fields)
