from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plugins.crm_salesforce.sandbox import SalesforceSandbox, frame
from tests.plugins.crm_salesforce.conftest import Caller

KEY = generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def code(answer):
    return answer.status_code, answer.json()[0]["errorCode"]


def first_id(org):
    return org.query("SELECT Id FROM Account WHERE Name = 'Acme'").json()["records"][0]["Id"]


# Tokens


def test_client_credentials_give_a_session_without_an_expiry(org):
    answer = org.sign_in().json()
    assert answer["instance_url"] == org.server.url
    assert answer["token_type"] == "Bearer"
    assert "expires_in" not in answer
    assert answer["issued_at"].isdecimal()


@pytest.mark.parametrize(
    ("options", "form", "error"),
    [
        ({}, {"client_id": "x"}, "invalid_client_id"),
        ({}, {"client_secret": "x"}, "invalid_client"),
        ({}, {"grant_type": "password"}, "unsupported_grant_type"),
        ({"my_domain": False}, {}, "invalid_grant"),
        ({"run_as": False}, {}, "invalid_grant"),
        ({}, {"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_a_wrong_credential_is_a_400_with_an_object(stand_in, options, form, error):
    caller = object.__new__(Caller)
    caller.server = stand_in(seed="empty", **options)
    answer = caller.sign_in(**form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"aud": "https://elsewhere.example"}, 400),
        ({"iss": "another"}, 400),
        ({"sub": "nobody@example.com"}, 400),
        ({"exp": datetime.now(UTC) - timedelta(minutes=1)}, 400),
    ],
)
def test_an_assertion_is_verified_with_the_certificate(stand_in, changes, status):
    server = stand_in(seed="empty", certificate=PUBLIC)
    claims = {"iss": server.settings["client_id"], "sub": "hub@example.com", "aud": "https://login.salesforce.com"}
    claims["exp"] = datetime.now(UTC) + timedelta(minutes=3)
    form = {"grant_type": JWT_BEARER, "assertion": jwt.encode({**claims, **changes}, KEY, algorithm="RS256")}
    answer = requests.post(f"{server.url}/services/oauth2/token", data=form, timeout=5)
    assert answer.status_code == status
    assert "issued_at" not in answer.json()


def test_with_rotation_the_old_refresh_token_is_dead(stand_in):
    org = Caller(stand_in(seed="empty", refresh_token="first", rotate_refresh_tokens=True))
    form = {"grant_type": "refresh_token", "refresh_token": "first"}
    fresh = org.sign_in(**form).json()["refresh_token"]
    assert org.sign_in(**form).json()["error_description"] == "expired access/refresh token"
    assert org.sign_in(**{**form, "refresh_token": fresh}).status_code == 200


# Sessions, versions, budget


def test_a_session_ends_and_says_so_with_a_list(org):
    org.user("end_sessions")
    assert code(org("GET", "/limits")) == (401, "INVALID_SESSION_ID")


def test_versions_are_listed_and_retired_ones_are_gone(org):
    assert requests.get(f"{org.server.url}/services/data", timeout=5).json()[-1]["version"] == "68.0"
    org.version = "30.0"
    assert org("GET", "/limits").status_code == 410
    org.version = "99.0"
    assert code(org("GET", "/limits")) == (404, "NOT_FOUND")


def test_every_data_answer_counts_and_the_end_of_the_budget_is_403(stand_in):
    org = Caller(stand_in(seed="empty", daily_calls=2))
    assert org("GET", "/limits").headers["Sforce-Limit-Info"] == "api-usage=1/2"
    assert org("GET", "/limits").json()["DailyApiRequests"] == {"Max": 2, "Remaining": 0}
    assert code(org("GET", "/limits")) == (403, "REQUEST_LIMIT_EXCEEDED")
    org.user("clock", advance_s=25 * 3600)
    org.token = org.sign_in().json()["access_token"]
    assert org("GET", "/limits").status_code == 200


def test_an_address_has_at_most_16_kilobytes(org):
    assert code(org.query(f"SELECT Id FROM Account WHERE Name = '{'x' * 16_500}'")) == (414, "URI_TOO_LONG")


def test_a_body_must_be_json(org):
    answer = org("POST", "/sobjects/Account", data=b"Name=x", headers={"Content-Type": "text/plain"})
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert code(org("POST", "/sobjects/Account", data=b"{", headers={"Content-Type": "application/json"})) == (
        400,
        "JSON_PARSER_ERROR",
    )


# Describe


def test_describe_shows_what_the_org_has(stand_in):
    org = Caller(stand_in(seed="empty", currencies=("EUR", "USD"), missing=("Contact", "Account.Website")))
    fields = {each["name"]: each for each in org("GET", "/sobjects/Account/describe").json()["fields"]}
    assert fields["Hub_Id__c"]["externalId"] and fields["Hub_Id__c"]["unique"]
    assert [value["value"] for value in fields["CurrencyIsoCode"]["picklistValues"]] == ["EUR", "USD"]
    assert fields["Name"]["length"] == 255
    assert "Website" not in fields
    assert code(org("GET", "/sobjects/Contact/describe")) == (404, "NOT_FOUND")


def test_a_single_currency_org_has_no_currency_field_and_no_key_unless_installed(stand_in):
    org = Caller(stand_in(seed="empty", hub_id_field=False))
    assert code(org.query("SELECT CurrencyIsoCode FROM Account")) == (400, "INVALID_FIELD")
    assert code(org.query("SELECT Hub_Id__c FROM Account")) == (400, "INVALID_FIELD")
    assert code(org.query("SELECT IsoCode FROM CurrencyType")) == (400, "INVALID_TYPE")


# Queries


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("Name = 'acme'", ["Acme"]),  # text ignores case
        ("Type != 'Customer'", ["Acme", "O'Neil & Söhne"]),  # != also returns nulls
        ("Type = null", ["Acme", "O'Neil & Söhne"]),
        (r"Name LIKE 'o\'n%'", ["O'Neil & Söhne"]),
        ("Name IN ('Beta', 'Acme') AND Type = null", ["Acme"]),
        ("(Name = 'Acme' OR Name = 'Beta') AND NOT Type = 'Customer'", ["Acme"]),
        ("CreatedDate < 2020-01-01T00:00:00Z", []),
        ("Owner.Username = 'sales@example.com' AND Name = 'Beta'", ["Beta"]),
    ],
)
def test_conditions_of_a_query(org, condition, names):
    assert org.names(f"SELECT Name FROM Account WHERE {condition} ORDER BY Name") == names


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT Nonsense FROM Account", "INVALID_FIELD"),
        ("SELECT Parent.Nonsense FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nonsense", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Opportunity WHERE CloseDate > 2026-01-01T00:00:00Z", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate LIKE 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account ORDER BY Description", "MALFORMED_QUERY"),
    ],
)
def test_queries_that_are_refused(org, statement, error):
    assert code(org.query(statement)) == (400, error)


def test_count_and_parents(stand_in):
    org = Caller(stand_in())
    assert org.query("SELECT COUNT() FROM Account").json() == {"totalSize": 12, "done": True, "records": []}
    answer = org.query("SELECT Name, Account.Name FROM Opportunity WHERE Name = 'Ward handover app'").json()
    (row,) = answer["records"]
    assert row["Account"]["Name"] == "Eastgate Hospital Trust"
    assert row["Account"]["attributes"]["type"] == "Account"


def test_pages_follow_the_address_they_name(org):
    org.server.sandbox.options["page_size"] = 2
    first = org.query("SELECT Name FROM Account ORDER BY Name").json()
    assert (first["totalSize"], first["done"], len(first["records"])) == (3, False, 2)
    address = first["nextRecordsUrl"]
    second = requests.get(org.server.url + address, headers={"Authorization": f"Bearer {org.token}"}, timeout=5).json()
    assert second["done"] and "nextRecordsUrl" not in second
    assert [row["Name"] for row in second["records"]] == ["O'Neil & Söhne"]
    assert code(org("GET", "/query/01gNothing-2")) == (400, "INVALID_QUERY_LOCATOR")


def test_the_bin_is_seen_by_query_all_only(org):
    id = first_id(org)
    org.user("delete", id=id)
    statement = "SELECT Id, IsDeleted FROM Account WHERE IsDeleted = true"
    assert org.query(statement).json()["totalSize"] == 0
    assert org.query(statement, path="/queryAll").json()["records"][0]["Id"] == id
    org.user("empty_bin")
    assert org.query(statement, path="/queryAll").json()["totalSize"] == 0


# Rows


def test_the_life_of_a_row(org):
    created = org("POST", "/sobjects/Account", json={"Name": "  Gamma  ", "Website": ""})
    assert created.status_code == 201
    id = created.json()["id"]
    row = org("GET", f"/sobjects/Account/{id[:15]}", params={"fields": "Name,Website"}).json()
    assert (row["Name"], row["Website"]) == ("Gamma", None)
    assert org("PATCH", f"/sobjects/Account/{id}", json={"Website": "gamma.example"}).status_code == 204
    assert org("DELETE", f"/sobjects/Account/{id}").status_code == 204
    assert code(org("PATCH", f"/sobjects/Account/{id}", json={"Name": "x"})) == (404, "ENTITY_IS_DELETED")
    assert [effect.operation for effect in org.server.sandbox.effects(actor="api")] == ["create", "update", "delete"]


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("Account", {}, (400, "REQUIRED_FIELD_MISSING")),
        ("Account", {"Name": "x" * 256}, (400, "STRING_TOO_LONG")),
        ("Account", {"Name": "x", "Nonsense": 1}, (400, "INVALID_FIELD")),
        ("Account", {"Name": "x", "CreatedDate": None}, (400, "INVALID_FIELD_FOR_INSERT_UPDATE")),
        ("Account", {"Name": "x", "Id": "001"}, (400, "INVALID_FIELD")),
        ("Account", {"Name": "x", "ParentId": "x"}, (400, "MALFORMED_ID")),
        ("Account", {"Name": "x", "ParentId": "001Hb0000000zzz"}, (400, "INVALID_CROSS_REFERENCE_KEY")),
        ("Account", {"Name": "x", "NumberOfEmployees": 100_000_000}, (400, "NUMBER_OUTSIDE_VALID_RANGE")),
        ("Contact", {"LastName": "x", "Email": "x"}, (400, "INVALID_EMAIL_ADDRESS")),
        ("Contact", {"LastName": "x", "Account": {"Hub_Id__c": "none"}}, (400, "INVALID_FIELD")),
        ("Opportunity", {"Name": "x", "StageName": "x", "CloseDate": "2026-02-30"}, (400, "JSON_PARSER_ERROR")),
        ("Opportunity", {"Name": "x"}, (400, "REQUIRED_FIELD_MISSING")),
        ("Nonsense", {"Name": "x"}, (404, "NOT_FOUND")),
    ],
)
def test_values_that_are_refused(org, name, body, error):
    assert code(org("POST", f"/sobjects/{name}", json=body)) == error
    assert org.server.sandbox.effects() == []


def test_any_stage_name_is_taken_but_only_a_won_stage_wins(org):
    base = {"Name": "x", "CloseDate": "2026-12-01"}
    org("POST", "/sobjects/Opportunity", json={**base, "StageName": "won!"})
    org("POST", "/sobjects/Opportunity", json={**base, "StageName": "Closed Won"})
    rows = org.query("SELECT StageName, IsWon, Probability FROM Opportunity ORDER BY IsWon").json()["records"]
    assert [(row["StageName"], row["IsWon"], row["Probability"]) for row in rows] == [
        ("won!", False, 0),
        ("Closed Won", True, 100),
    ]


def test_upsert_by_external_id(org):
    url = "/sobjects/Account/Hub_Id__c/clients%3A1%2F2"
    first = org("PATCH", url, json={"Name": "Gamma"})
    second = org("PATCH", url, json={"Name": "Gamma Ltd"})
    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (second.status_code, second.json()["created"]) == (200, False)
    assert org.names("SELECT Name FROM Account WHERE Hub_Id__c = 'clients:1/2'") == ["Gamma Ltd"]
    org.version = "45.0"
    assert org("PATCH", url, json={"Name": "Gamma"}).status_code == 204
    assert code(org("PATCH", url, json={"Hub_Id__c": "x"})) == (400, "INVALID_FIELD")
    assert code(org("PATCH", f"{url}3?updateOnly=true", json={"Name": "x"})) == (404, "NOT_FOUND")
    assert code(org("PATCH", "/sobjects/Account/Name/x", json={"Phone": "1"})) == (404, "NOT_FOUND")


def test_upsert_finds_several(org):
    for _ in range(2):
        org("POST", "/sobjects/Contact", json={"LastName": "Twin", "Email": "twin@example.com"})
    answer = org("PATCH", "/sobjects/Contact/Email/twin@example.com", json={"LastName": "x"})
    assert answer.status_code == 300
    assert len(answer.json()) == 2


def test_a_key_is_used_once(org):
    org("POST", "/sobjects/Account", json={"Name": "x", "Hub_Id__c": "k"})
    assert code(org("POST", "/sobjects/Account", json={"Name": "y", "Hub_Id__c": "K"})) == (400, "DUPLICATE_VALUE")


def test_the_duplicate_rule_is_a_switch(org):
    org.user("set_duplicate_rule", rule="alert")
    answer = org("POST", "/sobjects/Account", json={"Name": "ACME"})
    assert code(answer) == (400, "DUPLICATES_DETECTED")
    matches = answer.json()[0]["duplicateResult"]["matchResults"][0]["matchRecords"]
    assert matches[0]["record"]["Id"] == first_id(org)
    allow = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    assert org("POST", "/sobjects/Account", json={"Name": "ACME"}, headers=allow).status_code == 201
    org.user("set_duplicate_rule", rule="block")
    assert org("POST", "/sobjects/Account", json={"Name": "ACME"}, headers=allow).status_code == 400


def test_a_locked_parent_refuses_its_children(org):
    id = first_id(org)
    org.user("lock_row", id=id)
    body = {"LastName": "x", "AccountId": id}
    assert code(org("POST", "/sobjects/Contact", json=body)) == (400, "UNABLE_TO_LOCK_ROW")
    assert org("POST", "/sobjects/Contact", json=body).status_code == 201


# Collections and composite


def rows(*records, type="Account", **more):
    return {"records": [{"attributes": {"type": type}, **record} for record in records], **more}


def test_a_collection_answers_per_row_with_200(org):
    answer = org("POST", "/composite/sobjects", json=rows({"Name": "One"}, {}, {"Name": "Two"}))
    assert answer.status_code == 200
    assert [result["success"] for result in answer.json()] == [True, False, True]
    assert answer.json()[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert len(org.server.sandbox.effects("create")) == 2


def test_all_or_none_undoes_every_row(org):
    answer = org("POST", "/composite/sobjects", json=rows({"Name": "One"}, {}, allOrNone=True)).json()
    assert [result["errors"][0]["statusCode"] for result in answer] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert org.names("SELECT Name FROM Account WHERE Name = 'One'") == []
    assert org.server.sandbox.effects() == []


def test_an_unknown_field_refuses_the_whole_collection(org):
    answer = org("POST", "/composite/sobjects", json=rows({"Name": "One"}, {"Name": "Two", "Nonsense": 1}))
    assert code(answer) == (400, "INVALID_FIELD")
    assert org.server.sandbox.effects() == []


def test_a_collection_upserts_by_key_and_refuses_a_key_named_twice(org):
    url = "/composite/sobjects/Account/Hub_Id__c"
    body = rows({"Name": "One", "Hub_Id__c": "1"}, {"Name": "Uno", "Hub_Id__c": "1"}, {"Name": "Two", "Hub_Id__c": "2"})
    first = org("PATCH", url, json=body).json()
    assert [result.get("created") for result in first] == [True, None, True]
    assert first[1]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"
    assert org("PATCH", url, json=rows({"Name": "One!", "Hub_Id__c": "1"})).json()[0]["created"] is False


def test_a_collection_updates_reads_and_deletes_by_id(org):
    id = first_id(org)
    org("PATCH", "/composite/sobjects", json=rows({"id": id, "Phone": "1"}))
    read = org("POST", "/composite/sobjects/Account", json={"ids": [id, "001Hb0000000zzz"], "fields": ["Phone"]}).json()
    assert [row and row["Phone"] for row in read] == ["1", None]
    deleted = org("DELETE", "/composite/sobjects", params={"ids": id}).json()
    assert deleted == [{"id": id, "success": True, "errors": []}]


def test_a_collection_takes_200_rows(org):
    assert org("POST", "/composite/sobjects", json=rows(*[{"Name": "x"}] * 201)).status_code == 400
    assert org("POST", "/composite/sobjects", json=rows(*[{"Name": "x"}] * 200)).status_code == 200


def composite(*parts, all_or_none=False):
    base = "/services/data/v66.0"
    names = ("referenceId", "method", "url", "body")
    requests = [dict(zip(names, part, strict=False)) for part in parts]
    return {"allOrNone": all_or_none, "compositeRequest": [{**each, "url": base + each["url"]} for each in requests]}


def test_a_composite_refers_to_earlier_answers_and_costs_one_call(org):
    body = composite(
        ("acc", "POST", "/sobjects/Account", {"Name": "Gamma"}),
        ("con", "POST", "/sobjects/Contact", {"LastName": "x", "AccountId": "@{acc.id}"}),
        ("bad", "POST", "/sobjects/Contact", {"LastName": "x", "AccountId": "@{acc.Id}"}),
        ("all", "GET", "/query?q=SELECT+Account.Name+FROM+Contact"),
    )
    before = org.server.sandbox.calls_used()
    answer = org("POST", "/composite", json=body)
    assert org.server.sandbox.calls_used() == before + 1
    acc, con, bad, found = answer.json()["compositeResponse"]
    assert (answer.status_code, acc["httpStatusCode"], con["httpStatusCode"]) == (200, 201, 201)
    assert (bad["httpStatusCode"], bad["body"][0]["errorCode"]) == (400, "PROCESSING_HALTED")  # names keep their case
    assert found["body"]["records"][0]["Account"]["Name"] == "Gamma"


def test_a_composite_of_all_or_none_undoes_what_worked(org):
    parts = (("good", "POST", "/sobjects/Account", {"Name": "Gamma"}), ("bad", "POST", "/sobjects/Account", {}))
    good, bad = org("POST", "/composite", json=composite(*parts, all_or_none=True)).json()["compositeResponse"]
    assert (good["httpStatusCode"], good["body"][0]["errorCode"]) == (400, "PROCESSING_HALTED")
    assert bad["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert org.server.sandbox.effects() == []


# Users and state


def test_merged_accounts_point_to_the_survivor_and_children_move(stand_in):
    org = Caller(stand_in())
    ids = {row["Name"]: row["Id"] for row in org.query("SELECT Id, Name FROM Account").json()["records"]}
    org.user("merge_accounts", master_id=ids["Fjord Logistics"], id=ids["Cobalt Robotics"])
    statement = "SELECT MasterRecordId, IsDeleted FROM Account WHERE IsDeleted = true"
    (gone,) = org.query(statement, path="/queryAll").json()["records"]
    assert gone["MasterRecordId"] == ids["Fjord Logistics"]
    count = "SELECT COUNT() FROM Contact WHERE Account.Name = 'Fjord Logistics'"
    assert org.query(count).json()["totalSize"] == 4


def test_an_opportunity_is_won_lost_and_reopened(stand_in):
    org = Caller(stand_in())
    id = org.query("SELECT Id FROM Opportunity WHERE Name = 'Claims migration'").json()["records"][0]["Id"]

    def state():
        row = org("GET", f"/sobjects/Opportunity/{id}").json()
        return row["IsWon"], row["IsClosed"]

    seen = []
    for action in ("win_opportunity", "reopen_opportunity", "lose_opportunity"):
        org.user(action, id=id)
        seen.append(state())
    assert seen == [(True, True), (False, False), (False, True)]


def test_saving_moves_the_stamp_in_whole_seconds(org):
    id = first_id(org)
    org.user("edit", id=id, fields={"Phone": "1"}, stamped_s_ago=3600)
    stamp = org("GET", f"/sobjects/Account/{id}").json()["SystemModstamp"]
    assert stamp.endswith(".000+0000")
    behind_s = (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    assert 3590 < behind_s < 3700


def test_state_and_sessions_survive_a_restart(tmp_path):
    file = tmp_path / "state.json"
    with SalesforceSandbox(state_file=file).serve() as server:
        org = Caller(server)
        org("POST", "/sobjects/Account", json={"Name": "Kept", "AnnualRevenue": 12})
    with SalesforceSandbox(state_file=file).serve() as server:
        again = object.__new__(Caller)
        again.server, again.version, again.token = server, "66.0", org.token
        assert again.names("SELECT Name FROM Account WHERE Name = 'Kept'") == ["Kept"]


# Parallel writes


def test_while_a_write_is_open_another_one_of_the_same_account_is_refused(stand_in, monkeypatch):
    org = Caller(stand_in(seed={"Account": [{"Name": "Acme"}, {"Name": "Beta"}]}, save_s=60))
    acme, beta = (row["Id"] for row in org.query("SELECT Id FROM Account ORDER BY Name").json()["records"])
    saved, go_on = Event(), Event()

    def take_time(seconds):
        saved.set()
        assert (seconds, go_on.wait(30)) == (60, True)

    def create(account_id):
        body = {"Name": "x", "StageName": "Proposal", "CloseDate": "2027-01-01", "AccountId": account_id}
        return org("POST", "/sobjects/Opportunity", json=body)

    monkeypatch.setattr(frame, "sleep", take_time)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(create, acme)
        assert saved.wait(30)
        monkeypatch.setattr(frame, "sleep", lambda seconds: None)
        assert code(create(acme)) == (400, "UNABLE_TO_LOCK_ROW")
        assert create(beta).status_code == 201  # another account's is not in the way
        go_on.set()
        assert first.result().status_code == 201
    assert create(acme).status_code == 201
