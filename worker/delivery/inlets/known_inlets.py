"""What is in force for the inlets of all integrations with `payload_mode: "auto"`. No I/O.

    unknown ─► Adobe tells ───────────────► as if the mode were written in the file, or unfit
            └► Adobe does not tell: untold ─► what is sent as an upsert is accepted: upsert
                                           └► it is refused by its form: one message is tried in the
                                              other form (`trying`), or the integration is blocked

An unfit integration is one that would be a mistake if its file named the mode: it sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal, TypeVar

from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.inlets.inlet_answer import Answer, Doubt
from worker.integrations.model import Integration, WrittenMode
from worker.integrations.told_mode import UnfitMode, in_mode
from worker.reasons import ErrorCode

_Reply = TypeVar("_Reply", Accepted | Retryable | Permanent, Retryable | Permanent)
Replies = list[Accepted | Retryable | Permanent] | Retryable | Permanent

_IS: Final[dict[WrittenMode, str]] = {"upsert": "raw", "xdm": "XDM-compatible"}
_NOT_KNOWN: Final = "Adobe is being asked of which kind the inlet is"
_ASKED_AGAIN: Final = (
    "Adobe refuses the form that fits what it told of the inlet, and is asked again"
)
_REFUSES_UPSERT: Final = (
    "Adobe does not tell this credential of which kind the inlet is, and refuses the form that a "
    "raw one takes, so that it is XDM-compatible, or the set-up is wrong. Grant the credential "
    "View Sources, by which `consent-worker integrations check` tells, or set payload_mode"
)
_REFUSES_BOTH: Final = (
    "Adobe does not tell this credential of which kind the inlet is, and refuses both forms of a "
    "message, so that the set-up is wrong. Grant the credential View Sources, by which "
    "`consent-worker integrations check` tells"
)


class Case:
    """One integration with `payload_mode` auto. `in_force` is what is sent by; the one of the file
    while that is unknown, or while it is `unfit`, which says why. `whole`: the form that may be
    tried where Adobe does not tell; None where it would erase choices.
    """

    def __init__(self, configured: Integration) -> None:
        self.configured = self.in_force = configured
        self.answer: Answer | None = None
        self.unfit = ""
        self.whole: Integration | None = None
        self.whole_is_unfit = ""
        self.is_trying = False
        self.doubt = Doubt()

    @property
    def is_untold(self) -> bool:
        return self.answer is not None and self.answer.told == "untold"

    @property
    def is_unknown(self) -> bool:
        """Whether nothing can be sent to the inlet now, and soon may."""
        return self.is_trying or self.answer is None or self.answer.told == "asked"

    def adopt(self, answer: Answer) -> bool:
        """Put an answer about the inlet into force; says whether it tells something new."""
        told, before = answer.told, self.answer.told if self.answer else None
        self.answer = answer
        self.doubt.answered()
        if told == before:
            return False
        self.is_trying, self.unfit = False, ""
        match told:
            case "upsert" | "xdm":
                self._put_into_force(told)
            case "untold":
                # What is said so to a raw inlet is right, and an XDM-compatible one refuses it.
                self.in_force = self.configured.model_copy(update={"payload_mode": "upsert"})
                self._find_whole()
            case "asked":
                self.in_force = self.configured
        return True

    def _put_into_force(self, mode: WrittenMode) -> None:
        try:
            fitting = in_mode(self.configured, mode)
        except UnfitMode as unfit:
            self.in_force = self.configured
            self.unfit = f"the inlet is {_IS[mode]}, and with that: {unfit}"
        else:
            if self.in_force.payload_mode != mode:
                self.in_force = fitting

    def _find_whole(self) -> None:
        try:
            self.whole = in_mode(self.configured, "xdm")
        except UnfitMode as unfit:
            self.whole, self.whole_is_unfit = None, str(unfit)


def _ignored(*_: object) -> None:
    return


class KnownInlets:
    """Knows in which mode messages go to each inlet. `find_out` is called for an integration of
    which nothing is known, `again` for one that Adobe refused, and `learned` when Adobe's answer to
    a message has told a mode. Without them only modes that the files name are ever known.
    """

    def __init__(
        self,
        find_out: Callable[[Case], None] = _ignored,
        again: Callable[[Case], None] = _ignored,
        learned: Callable[[Case, WrittenMode], None] = _ignored,
    ) -> None:
        self._find_out = find_out
        self._again = again
        self._learned = learned
        self._cases: dict[str, Case] = {}
        self.recalled: dict[str, Answer] = {}
        """What the store kept when it was last looked at."""

    @property
    def cases(self) -> list[Case]:
        return list(self._cases.values())

    def is_in_force(self, case: Case) -> bool:
        """Whether a case is the one of its integration still, whose file may have changed."""
        return self._cases.get(case.configured.id) is case

    def in_force(self, integration: Integration) -> Integration:
        """The integration in the mode to send by; with `payload_mode` auto while nothing can be."""
        if integration.payload_mode != "auto":
            return integration
        case = self._cases.get(integration.id)
        if case is None or case.configured is not integration:
            case = self._open(integration)
        return case.in_force if not case.is_trying else integration

    def is_unknown(self, integration: Integration) -> bool:
        """Whether the events of an integration with `payload_mode` auto have to wait a moment."""
        case = self._cases.get(integration.id)
        return case is None or case.is_unknown

    def unsent(self, integration: Integration) -> Retryable:
        """The reply to what can't be sent, since the mode of its inlet is unfit or unknown."""
        case = self._cases.get(integration.id)
        if case is not None and case.unfit:
            self._again(case)
        return Retryable(ErrorCode.INLET_MISMATCH, (case.unfit if case else "") or _NOT_KNOWN)

    def heard(self, integration: Integration, replies: Replies) -> Replies:
        """What Adobe's answers to messages tell of the inlet, and what is to be made of them."""
        case = self._cases.get(integration.id)
        if case is None:
            return replies
        each = replies if isinstance(replies, list) else [replies]
        is_current = case.in_force is integration and case.is_untold
        if is_current and any(isinstance(one, Accepted) for one in each):
            self._learned(case, "upsert")
            return replies
        if any(isinstance(one, Permanent) and one.fault != "message" for one in each):
            self._again(case)
        if not case.is_untold or not is_current:
            return _while_doubted(case, integration, replies)
        if not isinstance(replies, list):
            return _as_mismatch(replies, case.whole_is_unfit)
        return [_as_mismatch(one, case.whole_is_unfit) for one in replies]

    def after_mismatch(self, integration: Integration) -> Integration | Literal["wait", "block"]:
        """What becomes of an event whose form Adobe refused, or that was not sent: it waits, since
        something else is known by now or soon will be, or it is the one that is tried in the other
        form, or the integration is blocked. `integration` is what the lane sends by.
        """
        case = self._cases.get(integration.id)
        if case is None or case.in_force is not integration or case.is_unknown:
            return "wait"
        if case.unfit or case.whole is None:
            return "block" if case.unfit or case.is_untold else "wait"
        if not case.is_untold:
            return "wait"
        case.is_trying = True
        return case.whole

    def tried(self, whole: Integration, reply: object) -> Retryable | None:
        """What came of the message that was tried in the other form; a reply in place of a refusal
        that both forms have had.
        """
        case = self._cases.get(whole.id)
        if case is None or case.whole is not whole or not case.is_trying:
            return None
        case.is_trying = False
        if isinstance(reply, Accepted):
            self._learned(case, "xdm")
        elif isinstance(reply, Permanent) and reply.fault != "message":
            return Retryable(
                ErrorCode.INLET_MISMATCH, f"{_REFUSES_BOTH}. {reply.detail}", reply.http_status
            )
        return None

    def _open(self, integration: Integration) -> Case:
        """The file is new, or has changed: what is known holds for the same inlet."""
        before = self._cases.get(integration.id)
        case = self._cases[integration.id] = Case(integration)
        answer = before.answer if before is not None else None
        if answer is None or answer.inlet != integration.inlet_digest:
            answer = self.recalled.get(integration.state_id)
        if answer is not None and answer.inlet == integration.inlet_digest:
            case.adopt(answer)
        if case.is_unknown:
            self._find_out(case)
        return case


def _while_doubted(case: Case, integration: Integration, replies: Replies) -> Replies:
    """The customer may have put a dataflow of the other kind behind the same inlet: what is refused
    for its form waits until Adobe has told once more, or comes back at once if it has done so while
    the request was under way.
    """
    if case.whole is integration:
        return replies  # a trial, see `tried`
    each = replies if isinstance(replies, list) else [replies]
    if not any(_is_of_form(one) for one in each):
        return replies
    is_other_form = case.in_force.payload_mode != integration.payload_mode
    if not is_other_form and not case.doubt.refused(asyncio.get_running_loop().time()):
        return replies
    if not isinstance(replies, list):
        return Retryable(ErrorCode.INLET_MISMATCH, _ASKED_AGAIN)
    waits = Retryable(ErrorCode.INLET_MISMATCH, _ASKED_AGAIN)
    return [waits if _is_of_form(one) else one for one in replies]


def _is_of_form(reply: object) -> bool:
    return isinstance(reply, Permanent) and reply.fault == "form"


def _as_mismatch(reply: _Reply, whole_is_unfit: str) -> _Reply | Retryable:
    if not isinstance(reply, Permanent) or reply.fault != "form":
        return reply
    why = f". An XDM-compatible one needs: {whole_is_unfit}" if whole_is_unfit else ""
    return Retryable(ErrorCode.INLET_MISMATCH, f"{_REFUSES_UPSERT}{why}", reply.http_status)
