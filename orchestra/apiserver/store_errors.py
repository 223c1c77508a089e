"""What the store refuses or fails at, as the API's errors: no caller of the server meets the store's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestra.apiserver import refusals
from orchestra.errors import (
    AmbiguousCommit,
    CommitFailed,
    InternalError,
    InvalidTxn,
    RequestTooLarge,
    ServiceUnavailable,
    StoreAccessDenied,
    StoreClosed,
    StoreUnavailable,
    Timeout,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the store's errors of what is done inside as `APIError`s."""
    try:
        yield
    except InvalidTxn as error:
        raise RequestTooLarge(f"etcdserver: {error}") from error
    except CommitFailed as error:
        raise ServiceUnavailable(f"the store did not take the write: {error}") from error
    except AmbiguousCommit as error:
        raise Timeout(f"the write may or may not have happened: {error}") from error
    except StoreUnavailable as error:
        raise ServiceUnavailable(f"the store cannot be reached: {error}", retry_after_seconds=1) from error
    except StoreAccessDenied as error:
        raise InternalError(f"the store does not let this server in: {error}") from error
    except StoreClosed as error:
        raise refusals.stopping() from error
