"""Three-way merge of fields: each side's changes against its own base, and whose value wins."""

from __future__ import annotations

import pytest

from hub.sync.threeway import Verdict, judge


def judged(*, theirs, ours, seen="A", agreed="A", rule="remote", theirs_is_newer=True):
    """One field “name”; a base of None is not known."""
    return judge(
        {"name": theirs},
        {} if ours is None else {"name": ours},
        seen={} if seen is None else {"name": seen},
        agreed={} if agreed is None else {"name": agreed},
        authority=lambda name: rule,
        theirs_is_newer=theirs_is_newer,
    )


def outcome(verdict):
    """What becomes of the field, and whether it is a conflict."""
    for what in ("taken", "refused", "undecided"):
        if "name" in getattr(verdict, what):
            return what, verdict.is_conflict
    return "left", verdict.is_conflict


RULES = ["hub", "remote", "newest", "manual"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("theirs", "ours"), [("A", "A"), ("A", "B"), ("B", "B")], ids=["nobody", "only we", "both the same"]
)
def test_what_they_did_not_change_or_changed_alike_is_left(rule, theirs, ours):
    assert judged(theirs=theirs, ours=ours, rule=rule) == Verdict()


@pytest.mark.parametrize(
    ("rule", "becomes"), [("remote", "taken"), ("newest", "taken"), ("manual", "taken"), ("hub", "refused")]
)
def test_what_only_they_changed_is_no_conflict(rule, becomes):
    assert outcome(judged(theirs="B", ours="A", rule=rule)) == (becomes, False)


@pytest.mark.parametrize("empty", ["", None])
def test_what_the_hub_says_nothing_of_is_taken_though_it_decides(empty):
    verdict = judge({"name": "B"}, {"name": empty}, seen={}, agreed={"name": empty}, authority=lambda name: "hub")
    assert outcome(verdict) == ("taken", False)


@pytest.mark.parametrize(
    ("rule", "newer", "becomes", "winner"),
    [
        ("remote", False, "taken", "remote"),
        ("hub", True, "refused", "hub"),
        ("newest", True, "taken", "remote"),
        ("newest", False, "refused", "hub"),
        ("manual", True, "undecided", "manual"),
    ],
)
def test_what_both_changed_is_a_conflict_that_keeps_everything(rule, newer, becomes, winner):
    verdict = judged(theirs="B", ours="C", rule=rule, theirs_is_newer=newer)
    assert outcome(verdict) == (becomes, True)
    assert verdict.disputed == {"name": {"base": "A", "hub": "C", "remote": "B", "winner": winner, "rule": rule}}


def test_each_side_has_its_own_base():
    # They show our "+44 20" as "4420": that is how they spell it, and nobody changed anything.
    assert judged(theirs="4420", ours="+44 20", seen="4420", agreed="+44 20") == Verdict()
    assert outcome(judged(theirs="4421", ours="+44 20", seen="4420", agreed="+44 20")) == ("taken", False)
    assert judged(theirs="4420", ours="+44 21", seen="4420", agreed="+44 20") == Verdict()


def test_what_was_not_seen_since_we_wrote_it_is_compared_with_what_we_wrote():
    assert judged(theirs="A", ours="B", seen=None, agreed="A") == Verdict()  # ours changed again, theirs did not
    assert outcome(judged(theirs="B", ours="A", seen=None, agreed="A")) == ("taken", False)


@pytest.mark.parametrize(("rule", "becomes"), [("remote", "taken"), ("hub", "refused"), ("manual", "undecided")])
def test_without_any_base_the_rule_decides_and_nobody_is_blamed(rule, becomes):
    verdict = judged(theirs="B", ours="C", seen=None, agreed=None, rule=rule)
    assert outcome(verdict) == (becomes, False)
    assert verdict.disputed["name"]["base"] is None


def test_a_field_that_our_record_does_not_have_is_taken_when_it_changes():
    assert outcome(judged(theirs="B", ours=None, agreed=None, rule="hub")) == ("taken", False)
    assert judged(theirs="A", ours=None, agreed=None, rule="hub") == Verdict()


def test_fields_are_judged_one_by_one():
    verdict = judge(
        {"name": "B", "phone": "2", "email": "e"},
        {"name": "A", "phone": "1", "email": "e"},
        seen={"name": "A", "phone": "1", "email": "e"},
        agreed={"name": "A", "phone": "1", "email": "e"},
        authority={"name": "remote", "phone": "hub", "email": "remote"}.__getitem__,
    )
    assert (verdict.taken, verdict.refused) == ({"name": "B"}, {"phone"})
