"""The table of all targets."""

from tests.fuzz.bodies import BODIES
from tests.fuzz.formats import FORMATS
from tests.fuzz.messages import MESSAGES
from tests.fuzz.tables import RESULTS

TARGETS = {**BODIES, **FORMATS, **MESSAGES, **RESULTS}
