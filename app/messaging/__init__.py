"""Saying something to a person: which words (`messages`), and the ways they travel (`email`, `outbox`).

A use-case makes a message and hands it to `env.after_commit`; nothing leaves before what it speaks of is true.
"""
