"""The audit: who did what, from where, when, and how it ended (docs/audit.md, docs/decisions/014).

`acting` knows who is doing something, because a door has said so. `record` writes rows, in the transaction of what they
tell. `chain` links them, finds out whether they were changed, and forgets those whose retention is over. `reading`
lists and exports them.
"""
