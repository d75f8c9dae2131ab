"""Which acknowledgements the messages of one channel that are done allow. Pure.

One acknowledgement with `multiple` covers all messages up to its tag, and costs what one for a
single message costs. It may only be sent when every lower tag is done, so tags above a gap are kept
back for a moment: mostly the gap closes. (RabbitMQ documentation, "Consumer Acknowledgements and
Publisher Confirms: Acknowledging Multiple Deliveries at Once".)
"""

from __future__ import annotations


class AckLedger:
    """The delivery tags of one channel. They count from 1, without gaps, in the order of delivery;
    each is added once.
    """

    def __init__(self) -> None:
        self.border = 0
        """The tag up to which all are acknowledged."""
        self._done: set[int] = set()
        self._alone: set[int] = set()

    def add(self, tag: int) -> None:
        """The message with `tag` needs no further keeping."""
        self._done.add(tag)

    def add_rejected(self, tag: int) -> None:
        """The message with `tag` was rejected: the broker knows it no longer."""
        self._alone.add(tag)

    def next_range(self, most: int | None = None) -> int | None:
        """The tag up to which all can be acknowledged at once, None when there is nothing new; of
        `most` tags, if that is given.

        It is itself never one that was acknowledged alone: the broker would call it unknown.
        """
        done, alone = self._done, self._alone
        top = None
        taken = 0
        border = self.border
        while True:
            following = border + 1
            if following in done and taken != most:
                done.remove(following)
                top = following
                taken += 1
            elif following in alone:
                alone.remove(following)
            else:
                break
            border = following
        self.border = border
        return top

    @property
    def has_range(self) -> bool:
        """Whether more messages can be acknowledged as a range."""
        return self.border + 1 in self._done

    def pop_stragglers(self) -> list[int]:
        """The tags above a gap that does not close, to be acknowledged one at a time."""
        tags = sorted(self._done)
        self._alone.update(tags)
        self._done.clear()
        return tags

    @property
    def kept_back(self) -> int:
        """How many delivery tags wait for a gap to close."""
        return len(self._done)
