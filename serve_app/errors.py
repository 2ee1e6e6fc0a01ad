"""The error tree: every failure a caller can see, with its code and HTTP status.

All constructor arguments are positional and passed to ``Exception.__init__``: errors
cross process borders between deployments, and an exception with keyword-only arguments
loses its type on the way.
"""

from __future__ import annotations

from typing import ClassVar


class EditServiceError(Exception):
    """Base of every error this service raises on purpose.

    ``message`` tells the user what to change; it never carries a path, a stack or the
    text of a library. ``param`` names the request field at fault, if there is one.
    ``retry_after_s`` (seconds) is set where waiting helps.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    #: Whether the same request may succeed later without being changed; clients are told.
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, param, retry_after_s)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class ConfigurationError(EditServiceError):
    """The operator's configuration can't be used; raised at start, never by a request."""

    code = "invalid_configuration"


class InvalidRequest(EditServiceError):
    """400: a field is missing, unknown, malformed or out of range."""

    code = "invalid_value"
    status = 400
    type = "invalid_request_error"


class MissingField(InvalidRequest):
    """400: a field the route needs is not there."""

    code = "missing_field"


class UnknownField(InvalidRequest):
    """400: a field the route doesn't have; never silently ignored."""

    code = "unknown_field"


class ImageUrlRefused(InvalidRequest):
    """Images are never fetched from URLs: the server must not be a proxy."""

    code = "image_url_refused"


class NotFound(EditServiceError):
    """404: no such object; the same answer whether it never existed or is another's."""

    code = "not_found"
    status = 404
    type = "invalid_request_error"


class ImageNotFound(NotFound):
    """404: there is no image at this place below the input root."""

    code = "image_not_found"


class ModelNotFound(NotFound):
    """404: this service runs another model."""

    code = "model_not_found"


class UnusableManifest(InvalidRequest):
    """The manifest of a bulk run as a whole can't be used, or a row of it can't be read."""

    code = "unusable_manifest"


class DuplicateId(InvalidRequest):
    """Two rows of a manifest have one id."""

    code = "duplicate_id"


class OutsideInputRoot(InvalidRequest):
    """A place that is not below the input root: it is never opened."""

    code = "outside_input_root"


class MethodNotAllowed(InvalidRequest):
    """405: the route exists, but not with this method."""

    code = "method_not_allowed"
    status = 405


class WrongState(EditServiceError):
    """409: the object is not in a state in which this can be done to it."""

    code = "wrong_state"
    status = 409
    type = "invalid_request_error"


class RunRefused(WrongState):
    """The output folder has another run in it, or one that is running."""

    code = "run_refused"


class IdempotencyKeyReused(InvalidRequest):
    """422: the key was given before, with another request."""

    code = "idempotency_key_reused"
    status = 422


class PayloadTooLarge(InvalidRequest):
    """413: the body or one image has too many bytes."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaType(InvalidRequest):
    """415: not a PNG, JPEG or WebP by its first bytes, or a body of the wrong type."""

    code = "unsupported_media_type"
    status = 415


class UnusableImage(InvalidRequest):
    """422: the right container, but undecodable, truncated, animated or over a limit."""

    code = "unusable_image"
    status = 422


class ImageTooSlow(UnusableImage):
    """422: decoding did not finish within the deadline."""

    code = "image_decode_timeout"


class UnusableMask(InvalidRequest):
    """422: a mask of another size than the image, or one that leaves nothing to edit."""

    code = "unusable_mask"
    status = 422


class UnusableAdapter(InvalidRequest):
    """422: no adapter has this name, or it was made for another model."""

    code = "unusable_adapter"
    status = 422


class EditTooLarge(InvalidRequest):
    """422: the edit would not fit into the device's memory, even alone."""

    code = "edit_too_large"
    status = 422


class TooManyImages(InvalidRequest):
    """422: more input images than the model takes."""

    code = "too_many_images"
    status = 422


class Overloaded(EditServiceError):
    """429: the queue is full; ``retry_after_s`` says when to come back."""

    code = "overloaded"
    status = 429
    type = "rate_limit_error"
    retryable = True


class NotReady(EditServiceError):
    """503: no warm editor, or a part of the service is away."""

    code = "not_ready"
    status = 503
    retryable = True


class ReplicaLost(NotReady):
    """503: the replica that worked on the request died."""

    code = "replica_lost"


class RouterLost(ReplicaLost):
    """503: the router died, not a replica that worked on the edit, which may go on elsewhere."""


class Quarantined(InvalidRequest):
    """422: two replicas died while they worked on this, so no other is given it."""

    code = "quarantined"
    status = 422


class PartFailed(EditServiceError):
    """500: a part of the service failed in a way it should not."""

    code = "part_failed"


class DeadlineExceeded(EditServiceError):
    """504: the time allowed for the request has passed."""

    code = "deadline_exceeded"
    status = 504


class NoAnswer(EditServiceError):
    """500: the model can't be asked, or had no answer; an edit then goes on without one."""

    code = "no_answer"


class EditRejected(EditServiceError):
    """422: a step's result did not pass its checks, so the workflow does not build on it."""

    code = "edit_rejected"
    status = 422
    type = "invalid_request_error"


class EditFailed(EditServiceError):
    """500: the engine could not produce an image for this request."""

    code = "edit_failed"
