"""Proving who you are, as a machine that every door walks.

`flow.begin` and `flow.answer` are the whole way in; they return an `Ask` (answer this next) or a `Granted` (he is who
he says, and how he showed it). A challenge is a module that knows neither its predecessor nor its successor; `plan`
alone knows the order. What becomes of a `Granted`, tokens or a browser session, is for `tokens_for` and `browser`.
"""
