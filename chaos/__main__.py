"""`python -m chaos`. What it needs is imported late: the processes it starts import this file too, and nothing else."""

import sys

if __name__ == "__main__":
    from chaos.command import main

    sys.exit(main())
