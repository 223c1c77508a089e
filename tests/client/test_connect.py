"""Where the server is, when nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.client.connect import connect, default_address, server_address
from orchestra.errors import ConfigurationError


def test_the_runtime_folder_of_the_user_holds_the_socket() -> None:
    assert default_address({"XDG_RUNTIME_DIR": "/run/user/7"}) == "unix:/run/user/7/orchestra/api.sock"


@pytest.mark.parametrize("variables", [{}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "relative"}])
def test_without_a_runtime_folder_the_home_does(variables: dict[str, str]) -> None:
    assert default_address({"HOME": "/home/ann", **variables}) == "unix:/home/ann/.orchestra/run/api.sock"


def test_what_was_given_comes_before_the_environment() -> None:
    environment = {"ORCHESTRA_SERVER": "unix:/a", "HOME": "/home/ann"}
    assert server_address("unix:/b", environment) == "unix:/b"
    assert server_address(None, environment) == "unix:/a"
    assert server_address(None, {"HOME": "/h"}) == default_address({"HOME": "/h"})


def test_credentials_for_tcp_come_from_the_environment(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(b"pem")
    environment = {"ORCHESTRA_SERVER": "host:1", "ORCHESTRA_TOKEN": "t", "ORCHESTRA_CA": str(ca)}
    client = connect(environment=environment)
    assert client.address == "host:1"
    with pytest.raises(ConfigurationError, match="No such file"):
        connect(environment={**environment, "ORCHESTRA_CA": str(tmp_path / "none")})
