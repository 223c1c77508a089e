"""Documents that nobody can walk or write down: the writer's fault, whichever step finds it out."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import orjson

from orchestra.errors import BadRequest

P = ParamSpec("P")
T = TypeVar("T")


class UnencodableError(Exception):
    """A document has a value that JSON cannot carry.

    A class of its own, for orjson's error is TypeError itself: a bug of a hook or a rule must not pass for it.
    """


def dumps(document: Any) -> bytes:
    """Write a document, or a part of one, as JSON; raises UnencodableError."""
    try:
        return orjson.dumps(document)
    except (TypeError, UnicodeEncodeError) as error:
        raise UnencodableError(str(error)) from error


def refuse_unencodable(verb: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Have a write raise BadRequest for a document that is nested too deeply or has a value that JSON cannot carry.

    Looking for that beforehand would walk every document once more; so whoever walks it anyway stumbles.
    """

    @functools.wraps(verb)
    async def write(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await verb(*args, **kwargs)
        except RecursionError:
            raise BadRequest("the object is nested too deeply: exceeded max depth") from None
        except (UnencodableError, UnicodeEncodeError) as error:
            raise BadRequest(f"the object cannot be written as JSON: {error}") from error

    return write
