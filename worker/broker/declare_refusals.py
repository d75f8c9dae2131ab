"""What a broker refuses to declare, as a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import ServerTrouble
from worker.wire.connecting import (
    AMQPError,
    ChannelInvalidStateError,
    ChannelPreconditionFailed,
)


class TopologyConflict(ServerTrouble, RuntimeError):
    """An exchange or queue of that name exists on the broker with other arguments, or can't exist
    there. `reason` has the broker's own words, where it gave any.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


@contextmanager
def refusals_named(kind: str, name: str) -> Iterator[None]:
    """Declare exchange or queue `name` in the block. Raises `TopologyConflict` where the broker
    refuses it; whatever else goes wrong is raised as it is.
    """
    try:
        yield
    except (AMQPError, ChannelInvalidStateError) as error:
        if _says_unknown_type(error):
            raise TopologyConflict(
                f"this broker doesn't know the type of {kind} {name}: enable the "
                "plugin rabbitmq_delayed_message_exchange, or set CONSENT_WORKER_DELAY=native"
            ) from None
        if isinstance(error, ChannelPreconditionFailed):
            raise TopologyConflict(
                f"{kind} {name} exists with other arguments than this worker's ({error}); "
                "`consent-worker topology migrate --dry-run` says how it is changed; or run this "
                "worker under another CONSENT_WORKER_NAMESPACE",
                str(error),
            ) from None
        raise


def _says_unknown_type(error: BaseException | None) -> bool:
    """Whether the broker refused an exchange type. 3.x closes the connection for that, with
    COMMAND_INVALID, and 4.x the channel, with PRECONDITION_FAILED. The text is the same, and may
    stand in the error that was the cause.
    """
    while error is not None:
        if "unknown exchange type" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
