"""The place of a Unix socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orchestra._unix_socket import claim_socket
from orchestra.errors import ConfigurationError


def bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen()
    return listener


def test_the_socket_is_for_its_user_alone_and_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "run" / "api.sock"
    with claim_socket(path) as place, bound(place.hidden):
        assert not path.exists()
        place.publish()
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert sorted(item.name for item in path.parent.iterdir()) == ["api.sock", "api.sock.lock"]
    assert not path.exists()
    assert [item.name for item in path.parent.iterdir()] == ["api.sock.lock"]


def test_a_second_server_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with claim_socket(path) as place, bound(place.hidden):
        place.publish()
        with pytest.raises(ConfigurationError, match="another server listens"), claim_socket(path):
            pass
        assert path.exists()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    bound(path).close()
    with claim_socket(path) as place, bound(place.hidden):
        place.publish()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))


def test_a_living_socket_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with bound(path):
        with pytest.raises(ConfigurationError, match="another server listens"), claim_socket(path):
            pass
        assert path.exists()


def test_a_file_in_the_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="is no socket"), claim_socket(path):
        pass
    assert path.read_text() == "precious"


def test_a_socket_that_somebody_put_there_since_stays(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with claim_socket(path) as place, bound(place.hidden):
        place.publish()
        path.unlink()
        other = bound(path)
    assert path.exists()
    other.close()


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(ConfigurationError, match="writable by nobody else"), claim_socket(open_to_all / "api.sock"):
        pass


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="bytes at most"), claim_socket(tmp_path / ("x" * 120)):
        pass
