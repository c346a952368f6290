"""One generation from its request to its end: `Run`, its states, and the sinks its text goes to.

```
QUEUED ──> CONNECTING ──> STREAMING ──> DONE       the answer is whole
   │            │              ├──────> STOPPED    stop() was called; what came is kept
   └────────────┴──────────────┴──────> FAILED     run.error says why; what came is kept
```

`stop()` leads from every state on the left to STOPPED. A run is owned by the engine: one task on the
streaming thread drives it, and everything here that is not marked otherwise may be called from any thread.
"""

from __future__ import annotations

from vig_notebook.run.plan import Plan
from vig_notebook.run.run import Run
from vig_notebook.run.state import RunState

__all__ = ["Plan", "Run", "RunState"]
