"""Loggers that are bound to a component and silent until the program that imports Orchestra asks for output."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

DEBUG: Final = 10
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40
_SILENT: Final = 100

_level = _SILENT
_configure: Callable[[], None] | None = None


def enable_logging(*, level: int = DEBUG, configure: Callable[[], None] | None = None) -> None:
    """Let Orchestra's components log through structlog as the program has configured it.

    `configure` is called once, before the first entry of `level` or above: a program that configures structlog there
    imports it only when there is something to say.
    """
    global _level, _configure
    _level, _configure = level, configure


def get_logger(component: str) -> Logger:
    """Return the logger of `component`; every entry carries the key `component`."""
    return Logger(component)


class Logger:
    """Key-value logger that imports structlog with the first entry that is written.

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
        if _level <= DEBUG:
            self._logger().debug(event, **keys)

    def info(self, event: str, **keys: Any) -> None:
        """Log a normal step that an operator may want to follow."""
        if _level <= INFO:
            self._logger().info(event, **keys)

    def warning(self, event: str, **keys: Any) -> None:
        """Log something that was wrong and is being handled."""
        if _level <= WARNING:
            self._logger().warning(event, **keys)

    def error(self, event: str, **keys: Any) -> None:
        """Log something that was wrong and needs a person."""
        if _level <= ERROR:
            self._logger().error(event, **keys)

    def _logger(self) -> FilteringBoundLogger:
        global _configure
        if self._bound is None:
            import structlog

            if _configure is not None:
                configure, _configure = _configure, None
                configure()
            self._bound = structlog.get_logger(**self._keys)
        return self._bound
