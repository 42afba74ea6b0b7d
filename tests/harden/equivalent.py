"""Faults that change nothing anybody can see, with the reason of each."""

__all__ = ("EQUIVALENT",)

NO_WEBSOCKET = "no value but `websocket` means anything"
NO_NUMBER = "what is no number is taken for 0"
AS_MANY = "as many are found as were asked for"
NO_WAIT = "it is only asked whether there is something to wait for"

EQUIVALENT = {
    "admit.unfit: if headers.get('upgrade', 'XX').lower() == 'websocket':": NO_WEBSOCKET,
    "admit.unfit: length = headers.get('content-length', 'XX0')": NO_NUMBER,
    "meter.Meter.refuse_spent: "
    "if (problem := spent(zip(subjects, balances, strict=False), now)):": AS_MANY,
    "limits._wait: return None, not 0.0": NO_WAIT,
}
