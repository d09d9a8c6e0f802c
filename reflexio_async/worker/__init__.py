"""Workers: processes that drive the jobs and outboxes of a store in Postgres. Needs the extra ``cluster``.

Clients with such a store only add rows and ask for outcomes. Any number of workers, on any number of
machines, does the rest::

    worker = Worker("postgresql://…", {"acme": Organisation("https://reflexio.example", api_key)})
    await worker.run()
"""

from reflexio_async.worker.keys import Organisation

try:
    from reflexio_async.worker.worker import LANES, Worker, WorkerStats
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("reflexio_async"):
        raise
    _message = f"a worker needs the extra cluster: pip install 'reflexio-async[cluster]' ({error})"
    raise ModuleNotFoundError(_message, name=error.name) from error

__all__ = ["LANES", "Organisation", "Worker", "WorkerStats"]
