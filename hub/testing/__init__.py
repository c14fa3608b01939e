"""What the authors of plugins and connectors test with; a plugin's tests and its sandbox may import it.

kit             records and contexts to hand to a plugin, and a way to tell it something
pytest_plugin   the fixtures that come by themselves: tell, check_plugin, plugin_context
sandbox         the frame of a vendor's stand-in: a real HTTP server with tokens, faults and an effect ledger
postgres        a real PostgreSQL server for a test run, without root and without Docker
"""
