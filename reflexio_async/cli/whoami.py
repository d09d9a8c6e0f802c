"""``whoami``: shows the organisation and the storage of a key."""

from typing import TYPE_CHECKING

from reflexio_async.cli.results import Result, fields

if TYPE_CHECKING:
    from reflexio_async.client import AsyncReflexioClient


async def whoami(client: "AsyncReflexioClient") -> Result:
    """Show the organisation of the key. `doctor` checks more.

    Example: `reflexio-async whoami --url http://localhost:8061`
    """
    answer = await client.whoami()
    storage = answer.storage_label or answer.storage_type or "not configured"
    return fields({"server": client.base_url, "organisation": answer.org_id, "storage": storage})
