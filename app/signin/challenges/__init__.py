"""One module per challenge: `NAME`, `ask` (what is told to whoever must answer) and `answer` (met, or a refusal).

Reading and slow work happen in `answer`, with no transaction open; what it wants written it returns as a `Proof`.
"""
