"""The quality scale, tried on this connector."""

from plugins.quickbooks.conformance import subject

SUBJECT = subject()


def test_rule(conformance):
    conformance()
