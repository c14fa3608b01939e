"""A local stand-in of the Salesforce REST API: real HTTP, strict as the wire contract, with users of its own.

with SalesforceSandbox(country="GB").serve() as server:
    server.settings    # connection settings that point a connector at it
"""

from __future__ import annotations

from plugins.crm_salesforce.sandbox.composite import CollectionCalls, CompositeCalls
from plugins.crm_salesforce.sandbox.oauth import OAuthCalls
from plugins.crm_salesforce.sandbox.rows import RowCalls
from plugins.crm_salesforce.sandbox.vendor_user import VendorUser


class SalesforceSandbox(OAuthCalls, RowCalls, CollectionCalls, CompositeCalls, VendorUser):
    """The whole stand-in. Options are listed at SalesforceFrame."""


__all__ = ["SalesforceSandbox"]
