"""Each fault with its story. To import this package puts all of them on the list, in the order of the table."""

from chaos.faults import workers as workers  # noqa: I001 - the order of the table
from chaos.faults import database as database
from chaos.faults import surroundings as surroundings
from chaos.faults import crowds as crowds
from chaos.faults import changes as changes
