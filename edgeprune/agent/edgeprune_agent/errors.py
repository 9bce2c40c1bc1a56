"""Every error that the agent's user can cause, in one tree.

::

    AgentError                 what happened, and what to try; exit code 2
    ├── UsageError             arguments that make no sense
    ├── BundleError            a bundle that is damaged, or lacks what is needed
    │   └── SignatureError     a bundle that no pinned key signed
    ├── FrontendError          a front-end library of another kind, or clips it can't take
    ├── RuntimeUnavailable     no runtime that loads the model
    ├── GoldenMismatch         a runtime that loads it, and computes something else
    ├── AudioError             audio that can't be opened, or is of another kind
    │   └── NoMicrophone       a microphone that is not there now, and may come
    └── MqttError              a broker that can't be used as asked

"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AgentError",
    "AudioError",
    "BundleError",
    "FrontendError",
    "GoldenMismatch",
    "MqttError",
    "NoMicrophone",
    "RuntimeUnavailable",
    "SignatureError",
    "UsageError",
]


class AgentError(Exception):
    """What happened, and what to try.

    Attributes:
        message: what happened.
        hint: what to try; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def line(self) -> dict[str, Any]:
        """The error as a line of output."""
        return {
            "kind": "error",
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
        }


class UsageError(AgentError):
    """Arguments that make no sense."""


class BundleError(AgentError):
    """A bundle that is damaged, or lacks what is needed."""


class SignatureError(BundleError):
    """A bundle that no pinned key signed."""


class FrontendError(AgentError):
    """A front-end library of another kind, or clips that it can't take."""


class RuntimeUnavailable(AgentError):
    """No runtime that loads the model."""


class GoldenMismatch(AgentError):
    """A runtime that loads the model, and computes something else than it must."""


class AudioError(AgentError):
    """Audio that can't be opened, or is of another kind."""


class NoMicrophone(AudioError):
    """A microphone that is not there now, and may come: absent, pulled out, busy, forbidden."""


class MqttError(AgentError):
    """A broker that can't be used as asked."""
