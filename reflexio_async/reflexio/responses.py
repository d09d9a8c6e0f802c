"""What most responses begin with: whether the call has succeeded, and a text about it."""

from reflexio_async._engine.models import ResponseModel


class MsgResponse(ResponseModel):
    """A response whose text is in ``msg``."""

    success: bool
    msg: str | None = None


class MessageResponse(ResponseModel):
    """A response whose text is in ``message``."""

    success: bool
    message: str = ""
