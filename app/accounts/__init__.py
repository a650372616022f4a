"""Use-cases about users: signing up, passwords, attributes, what administrators do with them.

A use-case is a function `verb(env, client_or_pool, *, facts) -> value`; it raises a refusal or returns a value, and
knows nothing of HTTP. Where it does something slow it reads first, then does it, then writes in one transaction.
"""
