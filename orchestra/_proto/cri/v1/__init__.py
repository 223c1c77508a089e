"""Generated code of `proto/cri/v1`."""
