"""The environments of the official clients, which must not share ours."""

from __future__ import annotations

from reflexio_async.testing.environments import Environment

REFLEXIO_CLIENT_VERSION = "0.2.16"
REFLECT_SDK_VERSION = "0.3.5"
"""The newest official clients on PyPI; the server's version is in ``reflexio_async/testing/real_server.py``.

After a change: ``python -m tests.parity.refresh``.
"""

REFLEXIO_COMMONS = Environment(
    "reflexio-commons-0.1.0.0", "3.12", ("reflexio-commons==0.1.0.0", "pydantic==2.14.4")
)
"""The models of January 2026, which that server and that client shared."""

REFLEXIO_CLIENT = Environment(
    f"reflexio-client-{REFLEXIO_CLIENT_VERSION}", "3.12", (f"reflexio-client=={REFLEXIO_CLIENT_VERSION}",)
)
"""The official Reflexio client on its own."""

REFLECT_SDK = Environment(
    f"reflect-sdk-{REFLECT_SDK_VERSION}",
    "3.12",
    ("httpx==0.28.1",),
    (f"reflect-sdk=={REFLECT_SDK_VERSION}",),
)
"""The official Reflect client. It needs ``tests/parity/stand_ins``, for a package that no index has."""

WHOLE_REFLECT_SDK_VERSION = "0.3.3"
WHOLE_REFLECT_SDK = Environment(
    f"reflect-sdk-{WHOLE_REFLECT_SDK_VERSION}",
    "3.12",
    ("httpx==0.28.1",),
    (f"reflect-sdk=={WHOLE_REFLECT_SDK_VERSION}",),
)
"""The last official Reflect client that runs as it is on PyPI. Of its dependencies only httpx is needed."""
