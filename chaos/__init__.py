"""`python -m chaos`: what becomes of requests, and of what was acknowledged, while something breaks.

docs/chaos.md says what each verdict means. Nothing in here is part of the server. `faults` has one story for each
fault, `trial` the server, the load and the claims of one of them; `load` asks and notes how each request went,
`conversations` knows what is asked and what has to be there afterwards; `hostile`, `processes` and `postgresql` do the
harm. What a right answer is, and how to ask for it, is bench's.
"""
