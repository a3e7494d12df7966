"""Methods compared on the user's own data: the same splits, steps and seeds for all.

What a method is (`methods`), one training by it (`training`), what that is worth (`measures`), the trainings that are
done (`record`), all of them in turn (`runner`), and what they say (`bootstrap`, `summary`).
"""

from .methods import DEFAULT, STOCK, Method, read_methods
from .record import Record, Run
from .runner import compare
from .summary import Summary
from .training import Setting

__all__ = ["DEFAULT", "STOCK", "Method", "Record", "Run", "Setting", "Summary", "compare", "read_methods"]
