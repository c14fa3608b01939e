"""`hub demo`: a whole firm in a minute, connected to stand-ins of Salesforce and QuickBooks.

Everything is real but the vendors: the commands are those of a person, the servers those of `hub up`, and what goes
out or comes in goes through queued jobs.
"""
