"""What the hub can do, in figures: `make bench`.

Each figure stands beside a target and, where one exists, a baseline that was measured in the same run, because the
speed of a shared machine says little and a ratio much.
"""
