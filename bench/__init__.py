"""`python -m bench`: what the server costs, beside what the machine can do at best. docs/performance.md explains it.

Nothing in here is part of the server. `target` starts it and counts its CPU time and memory, `load` asks from other
processes, `scenarios` knows what to ask and what a right answer is, `ceilings` measures the machine, `report` draws
the tables.
"""
