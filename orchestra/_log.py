"""Loggers that are bound to a component and silent until the program that imports Orchestra asks for output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_enabled = False


def enable_logging() -> None:
    """Let Orchestra's components log through structlog as the program has configured it."""
    global _enabled  # noqa: PLW0603 - one switch per process, as the standard library's root logger is
    _enabled = True


def get_logger(component: str) -> Logger:
    """Return the logger of `component`; every entry carries the key `component`."""
    return Logger(component)


class Logger:
    """Key-value logger that imports structlog only when logging was enabled.

    Entries are a constant event plus keys: `log.info("pod bound", pod=key, node=name)`.
    """

    __slots__ = ("_bound", "_keys")

    def __init__(self, component: str, **keys: Any) -> None:
        self._keys: dict[str, Any] = {"component": component, **keys}
        self._bound: FilteringBoundLogger | None = None

    def bind(self, **keys: Any) -> Logger:
        """Return a logger whose entries carry `keys` too."""
        return Logger(**{**self._keys, **keys})

    def debug(self, event: str, **keys: Any) -> None:
        """Log what only a developer of the component wants to see."""
        if _enabled:
            self._logger().debug(event, **keys)

    def info(self, event: str, **keys: Any) -> None:
        """Log a normal step that an operator may want to follow."""
        if _enabled:
            self._logger().info(event, **keys)

    def warning(self, event: str, **keys: Any) -> None:
        """Log something that was wrong and is being handled."""
        if _enabled:
            self._logger().warning(event, **keys)

    def error(self, event: str, **keys: Any) -> None:
        """Log something that was wrong and needs a person."""
        if _enabled:
            self._logger().error(event, **keys)

    def _logger(self) -> FilteringBoundLogger:
        if self._bound is None:
            import structlog

            self._bound = structlog.get_logger(**self._keys)
        return self._bound
