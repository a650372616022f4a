"""What a pool demands of names, attributes and passwords: pure functions of rows, below `accounts` and `pools`.

Whether a name is taken is not asked here; the database answers that, in `accounts`.
"""
