"""Workers: processes that drive the jobs and outboxes of a store in Postgres. Needs the extra ``cluster``.

Clients with such a store only add rows and ask for outcomes. Any number of workers, on any number of
machines, does the rest::

    worker = Worker("postgresql://…", {"acme": Organisation("https://reflexio.example", api_key)})
    await worker.run()
"""

from reflexio_async.worker.keys import Organisation
from reflexio_async.worker.worker import LANES, Worker, WorkerStats

__all__ = ["LANES", "Organisation", "Worker", "WorkerStats"]
